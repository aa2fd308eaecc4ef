import { Fragment, h, type ComponentChild } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { ChatView } from "./chat-view.ts";
import { followFleet, NOTHING_SEEN, type FleetSight } from "./fleet-feed.ts";
import { FleetView } from "./fleet-view.ts";
import { GatewayClient } from "./gateway-client.ts";
import { PageHead } from "./page-head.ts";
import { KeyForm } from "./key-form.ts";
import { placeOf, type Place } from "./places.ts";
import { rememberedKey, rememberKey } from "./settings.ts";
import { UsageView } from "./usage-view.ts";

/** The place that the address names, which links change and the back button too. */
function usePlace(): Place {
  const [place, setPlace] = useState(() => placeOf(location.hash));
  useEffect(() => {
    const follow = () => {
      setPlace(placeOf(location.hash));
    };
    addEventListener("hashchange", follow);
    return () => {
      removeEventListener("hashchange", follow);
    };
  }, []);
  return place;
}

export function App({ base }: { readonly base: URL }): ComponentChild {
  const [key, setKey] = useState(rememberedKey);
  const [sight, setSight] = useState<FleetSight>(NOTHING_SEEN);
  const [isKeyAsked, setKeyAsked] = useState(false);
  const place = usePlace();
  const client = useMemo(() => new GatewayClient(base, key), [base, key]);
  useEffect(() => {
    setSight(NOTHING_SEEN);
    return followFleet(client, setSight);
  }, [client]);
  const { standing } = sight;
  const needsKey = standing.kind === "refused" && standing.status === 401;
  const useKey = (given: string) => {
    rememberKey(given);
    setKeyAsked(false);
    setKey(given);
  };
  const form = h(KeyForm, {
    hasKey: key !== "",
    problem: standing.kind === "refused" ? standing.problem : null,
    onUse: useKey,
  });
  return h(
    Fragment,
    null,
    h(PageHead, {
      sight,
      place,
      hasKey: key !== "",
      isKeyAsked,
      onAskKey: () => {
        setKeyAsked(!isKeyAsked);
      },
    }),
    h(
      "main",
      { id: "main", tabIndex: -1 },
      isKeyAsked || needsKey ? form : null,
      needsKey ? null : h("div", { hidden: place !== "fleet" }, h(FleetView, { sight })),
      needsKey || place !== "usage" ? null : h(UsageView, { client }),
      // Kept while another place is looked at: a conversation is not thrown away by a look at the fleet.
      needsKey ? null : h("div", { hidden: place !== "chat" }, h(ChatView, { client, sight })),
    ),
  );
}

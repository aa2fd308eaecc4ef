import type { DeviceUse } from "../overview/device-use.ts";
import { paint, type Paint } from "../print/paint.ts";
import type { FrameLook, Span } from "./frame-look.ts";

type Part = "resident" | "onDemand" | "foreign" | "free";

/** Told apart without colours too. */
const PARTS: Readonly<
  Record<Part, { readonly unicode: string; readonly ascii: string; readonly style: Paint }>
> = {
  resident: { unicode: "█", ascii: "#", style: "green" },
  onDemand: { unicode: "▓", ascii: "=", style: "cyan" },
  foreign: { unicode: "▒", ascii: "x", style: "yellow" },
  free: { unicode: "░", ascii: ".", style: "dim" },
};

type Memory = Pick<DeviceUse, "totalMb" | "residentMb" | "onDemandMb" | "foreignMb" | "freeMb">;

/** Whose the memory is, as a bar: what is resident, on demand, foreign, and free. */
export function memoryBar(memory: Memory, width: number, look: Pick<FrameLook, "colour" | "unicode">): Span {
  const widths = partWidths(memory, width);
  const pieces = widths.map(([part, length]) => {
    const { unicode, ascii, style } = PARTS[part];
    return { text: (look.unicode ? unicode : ascii).repeat(length), style };
  });
  return {
    text: pieces.map(({ text }) => text).join(""),
    painted: pieces
      .filter(({ text }) => text !== "")
      .map(({ text, style }) => paint(text, style, look.colour))
      .join(""),
  };
}

/** What is not nothing is at least a column wide, and what is not all leaves one. */
function partWidths(memory: Memory, width: number): readonly (readonly [Part, number])[] {
  const { totalMb, residentMb, onDemandMb, foreignMb } = memory;
  if (totalMb <= 0 || width <= 0) return [["free", Math.max(0, width)]];
  let left = width;
  const used = [
    ["resident", residentMb],
    ["onDemand", onDemandMb],
    ["foreign", foreignMb],
  ] as const;
  const widths = used.map(([part, mb]) => {
    const length = Math.min(left, mb <= 0 ? 0 : Math.max(1, Math.round((mb / totalMb) * width)));
    left -= length;
    return [part, length] as const;
  });
  return [...widths, ["free", left] as const];
}

export function memoryLegend(look: Pick<FrameLook, "unicode">): string {
  const sign = (part: Part): string => (look.unicode ? PARTS[part].unicode : PARTS[part].ascii);
  return `${sign("resident")} resident ${sign("onDemand")} on demand ${sign("foreign")} foreign ${sign("free")} free`;
}

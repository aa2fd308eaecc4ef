import { describe, expect, test } from "vitest";
import { startFleet, residentModels, sourceOf } from "../../support/fleet/running-fleet.ts";
import { tinyModelFile } from "../../support/neuron/tiny-model.ts";
import { hasTmux, Terminal } from "../../support/terminal.ts";

describe.skipIf(!hasTmux)("the question before an apply", () => {
  test.each([
    ["no", /Not applied; nothing was changed\./, 0],
    ["yes", /1 loaded|applied/i, 1],
  ])("%s is an answer, and no error", async (answer, said, loaded) => {
    const modelPath = await tinyModelFile();
    const models = `[[models]]\nid = "org/asked"\nsource = "${sourceOf(modelPath)}"\nreplicas = 1\n`;
    await using fleet = await startFleet({ neuronNames: ["beast"], modelPath, models });
    await using terminal = await Terminal.open(["apply", "--config", fleet.directory], {
      columns: 100,
      rows: 40,
    });
    await terminal.shows(/Only `yes` does/);
    await terminal.type(answer);
    await terminal.press("Enter");
    const screen = await terminal.shows(/ended with \d+/);
    expect(screen).toMatch(said);
    expect(screen).not.toContain("Error");
    expect(await residentModels(fleet.neuronUrls["beast"] ?? "")).toHaveLength(loaded);
  });
});

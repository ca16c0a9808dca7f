/** A sample of a metric. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/**
 * Parses Prometheus' text format. Throws for what the format does not allow: a sample without a type, an invalid name,
 * label or value, a duplicate type.
 */
export function parsePrometheus(text: string): { types: Map<string, string>; samples: Sample[] } {
  const types = new Map<string, string>();
  const samples: Sample[] = [];
  if (!text.endsWith("\n")) throw new Error("The last line is incomplete");
  for (const line of text.slice(0, -1).split("\n")) {
    if (line.startsWith("# HELP ")) continue;
    if (line.startsWith("# TYPE ")) {
      const [, , name, type] = line.split(" ");
      if (types.has(name!)) throw new Error(`The type of ${name} is a duplicate`);
      types.set(name!, type!);
      continue;
    }
    const match = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (match === null) throw new Error(`Not a sample: ${line}`);
    const [, name, labels = "", value] = match;
    if (!types.has(name!) && !types.has(name!.replace(/_(bucket|sum|count)$/, ""))) {
      throw new Error(`${name} has no type`);
    }
    if (Number.isNaN(Number(value)) && value !== "NaN") throw new Error(`Not a number: ${line}`);
    samples.push({ name: name!, labels: parseLabels(labels), value: Number(value) });
  }
  return { types, samples };
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  let rest = text;
  while (rest !== "") {
    const match = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/.exec(rest);
    if (match === null) throw new Error(`Not a label: ${rest}`);
    labels[match[1]!] = match[2]!.replaceAll("\\n", "\n").replaceAll('\\"', '"').replaceAll("\\\\", "\\");
    rest = rest.slice(match[0].length);
  }
  return labels;
}

import type { DeviceNo } from "./numbers.ts";

/** Devices by how much is free on them, in drawers of equal width: finds the tightest hole without looking at all. */
export class FreeIndex {
  readonly #drawerMib: number;
  /** By number; a board of a small fleet uses a few of them. */
  readonly #drawers: DeviceNo[][] = [];
  /** By device: its drawer and its position there. */
  readonly #drawerOf: Int32Array;
  readonly #position: Int32Array;

  constructor(freeMib: Int32Array) {
    const largest = freeMib.reduce((most, free) => Math.max(most, free), 1);
    this.#drawerMib = Math.max(1, Math.ceil(largest / DRAWERS));
    this.#drawerOf = new Int32Array(freeMib.length).fill(-1);
    this.#position = new Int32Array(freeMib.length);
    for (const [device, free] of freeMib.entries()) this.move(device as DeviceNo, free);
  }

  get count(): number {
    return DRAWERS + 1;
  }

  /** The drawer of devices with about this much free. */
  drawerFor(freeMib: number): number {
    return Math.min(DRAWERS, Math.max(0, Math.floor(freeMib / this.#drawerMib)));
  }

  devicesIn(drawer: number): readonly DeviceNo[] {
    return this.#drawers[drawer] ?? NO_DEVICES;
  }

  move(device: DeviceNo, freeMib: number): void {
    const to = this.drawerFor(freeMib);
    const from = this.#drawerOf[device] as number;
    if (from === to) return;
    if (from !== -1) this.#remove(device, from);
    const drawer = (this.#drawers[to] ??= []);
    this.#drawerOf[device] = to;
    this.#position[device] = drawer.length;
    drawer.push(device);
  }

  #remove(device: DeviceNo, from: number): void {
    const drawer = this.#drawers[from] as DeviceNo[];
    const last = drawer.pop() as DeviceNo;
    if (last === device) return;
    const position = this.#position[device] as number;
    drawer[position] = last;
    this.#position[last] = position;
  }
}

const DRAWERS = 512;
const NO_DEVICES: readonly DeviceNo[] = [];

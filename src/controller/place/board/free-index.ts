import { present } from "../../../core/present.ts";
import type { DeviceNo } from "./numbers.ts";

/** Devices by how much is free on them, in drawers of equal width: finds the tightest hole without looking at all. */
export class FreeIndex {
  readonly #drawerMib: number;
  readonly #drawers: DeviceNo[][];
  /** By device: its drawer and its position there. */
  readonly #drawerOf: Int32Array;
  readonly #position: Int32Array;

  constructor(freeMib: Int32Array) {
    const largest = freeMib.reduce((most, free) => Math.max(most, free), 1);
    this.#drawerMib = Math.max(1, Math.ceil(largest / DRAWERS));
    this.#drawers = Array.from({ length: DRAWERS + 1 }, () => []);
    this.#drawerOf = new Int32Array(freeMib.length).fill(-1);
    this.#position = new Int32Array(freeMib.length);
    for (const [device, free] of freeMib.entries()) this.move(device as DeviceNo, free);
  }

  get count(): number {
    return this.#drawers.length;
  }

  /** The drawer of devices with about this much free. */
  drawerFor(freeMib: number): number {
    return Math.min(DRAWERS, Math.max(0, Math.floor(freeMib / this.#drawerMib)));
  }

  devicesIn(drawer: number): readonly DeviceNo[] {
    return present(this.#drawers[drawer], "drawer", drawer);
  }

  move(device: DeviceNo, freeMib: number): void {
    const to = this.drawerFor(freeMib);
    const from = this.#drawerOf[device] as number;
    if (from === to) return;
    if (from !== -1) this.#remove(device, from);
    const drawer = this.#drawers[to] as DeviceNo[];
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

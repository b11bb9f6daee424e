// A host of proxy-wasm for `make bench-worst`: runs exchanges in V8, the engine of Envoy's wasm, and says how long each
// callback kept it busy. What the host itself does meanwhile is not counted.
//
//     node host.mjs FILTER < exchanges
//
// One exchange a line, as JSON; one answer a line: for each callback its name, the least time over all rounds in
// microseconds, and how many calls of the host it made. `tests/support/vm.rs` is the same host for an interpreter that
// counts instructions.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

/** How often an exchange is measured at most, and after how many milliseconds no further round begins. */
const ROUNDS = 40;
const BUDGET_MS = 400;

const OK = 0, NOT_FOUND = 1, ROOT = 1;
const encoder = new TextEncoder(), decoder = new TextDecoder();
const now = () => Number(process.hrtime.bigint()) / 1e3;
const module = new WebAssembly.Module(readFileSync(process.argv[2]));

class Guest {
  constructor(configuration) {
    this.buffers = { 7: encoder.encode(configuration) };
    this.maps = {};
    this.properties = new Map([["xds.route_name", encoder.encode("ai")]]);
    this.shared = new Map();
    this.metrics = 0;
    this.clock = 1n << 60n;
    this.hostTime = 0;
    this.hostCalls = 0;
    const imports = {};
    for (const { module: from, name } of WebAssembly.Module.imports(module)) {
      (imports[from] ??= {})[name] = (...args) => {
        const began = now();
        const inner = this.guestTime;
        if (!this[name]) throw new Error(`the host has no ${name}`);
        this.hostCalls += 1;
        const status = this[name](...args) ?? OK;
        // A call back for memory is the guest's time.
        this.hostTime += now() - began - (this.guestTime - inner);
        return status;
      };
    }
    this.guestTime = 0;
    this.exports = new WebAssembly.Instance(module, imports).exports;
    this.exports._initialize?.();
    this.call("context_create", ROOT, 0);
    this.call("vm_start", ROOT, 0);
    if (this.call("configure", ROOT, this.buffers[7].length).result !== 1) throw new Error("the configuration is refused");
  }

  /** Calls a callback: its result, its time without the host's, the calls it made. */
  call(name, ...args) {
    this.hostTime = 0;
    this.hostCalls = 0;
    const began = now();
    const result = this.exports[`proxy_on_${name}`]?.(...args) ?? 0;
    return { name, result, time: now() - began - this.hostTime, calls: this.hostCalls };
  }

  /** Runs an exchange; gives its callbacks in order. */
  exchange({ request, body, response, answer }, id) {
    const done = [];
    const call = (...args) => (done.push(this.call(...args)), done.at(-1).result);
    this.maps = { 0: request.map((pair) => [...pair]), 2: response.map((pair) => [...pair]) };
    this.replied = false;
    const pieces = (texts) => texts.map((text) => encoder.encode(text));
    call("context_create", id, ROOT);
    call("request_headers", id, request.length, body.length === 0 ? 1 : 0);
    let kept = new Uint8Array();
    pieces(body).forEach((piece, index, all) => {
      if (this.replied) return;
      this.buffers[0] = Buffer.concat([kept, piece]);
      const result = call("request_body", id, this.buffers[0].length, index + 1 === all.length ? 1 : 0);
      // Only what is neither let go nor taken stays in the host's buffer.
      kept = result === 1 ? this.buffers[0] : new Uint8Array();
    });
    if (this.replied) this.maps[2] = [[":status", "400"]];
    const back = this.replied ? ["refused"] : answer;
    call("response_headers", id, this.maps[2].length, back.length === 0 ? 1 : 0);
    pieces(back).forEach((piece, index, all) => {
      this.buffers[1] = piece;
      call("response_body", id, piece.length, index + 1 === all.length ? 1 : 0);
    });
    for (const name of ["log", "done", "delete"]) call(name, id);
    return done;
  }

  // -- Memory of the guest --

  bytes(at, size) { return new Uint8Array(this.exports.memory.buffer, at, size).slice(); }
  text(at, size) { return decoder.decode(this.bytes(at, size)); }
  word(at, value) { new DataView(this.exports.memory.buffer).setUint32(at, value, true); }
  give(bytes, at, sizeAt) {
    let place = 0;
    if (bytes.length > 0) {
      const began = now();
      place = this.exports.proxy_on_memory_allocate(bytes.length);
      this.guestTime += now() - began;
      new Uint8Array(this.exports.memory.buffer).set(bytes, place);
    }
    this.word(at, place);
    this.word(sizeAt, bytes.length);
  }
  path(at, size) { return this.text(at, size).replace(/\0+$/, "").replaceAll("\0", "."); }

  // -- Calls of the host --

  proxy_get_log_level(at) { this.word(at, 2); }
  proxy_log() {}
  proxy_set_tick_period_milliseconds() {}
  proxy_get_header_map_pairs(map, at, sizeAt) {
    const pairs = this.maps[map].map((pair) => pair.map((text) => Buffer.from(text)));
    const out = Buffer.alloc(4 + pairs.reduce((sum, [name, value]) => sum + 10 + name.length + value.length, 0));
    let end = out.writeUInt32LE(pairs.length, 0);
    for (const [name, value] of pairs) end = out.writeUInt32LE(value.length, out.writeUInt32LE(name.length, end));
    for (const part of pairs.flat()) end += part.copy(out, end) + 1;
    this.give(out, at, sizeAt);
  }
  proxy_get_header_map_value(map, key, keySize, at, sizeAt) {
    const name = this.text(key, keySize);
    const value = this.maps[map].find(([known]) => known === name)?.[1];
    this.give(encoder.encode(value ?? ""), at, sizeAt);
    return value ? OK : NOT_FOUND;
  }
  proxy_replace_header_map_value(map, key, keySize, value, size) {
    const name = this.text(key, keySize);
    this.maps[map] = [...this.maps[map].filter(([known]) => known !== name), [name, this.text(value, size)]];
  }
  proxy_remove_header_map_value(map, key, keySize) {
    const name = this.text(key, keySize);
    this.maps[map] = this.maps[map].filter(([known]) => known !== name);
  }
  proxy_add_header_map_value(map, key, keySize, value, size) {
    this.maps[map].push([this.text(key, keySize), this.text(value, size)]);
  }
  proxy_set_header_map_pairs(map, at, size) {
    const block = Buffer.from(this.bytes(at, size));
    const count = block.readUInt32LE(0);
    let from = 4 + 8 * count;
    this.maps[map] = Array.from({ length: count }, (_, index) =>
      [0, 4].map((part) => {
        const length = block.readUInt32LE(4 + 8 * index + part);
        const text = block.toString("utf8", from, from + length);
        from += length + 1;
        return text;
      }));
  }
  proxy_get_buffer_bytes(buffer, start, max, at, sizeAt) {
    const all = this.buffers[buffer];
    this.give(all.subarray(start, Math.min(start + (max >>> 0), all.length)), at, sizeAt);
  }
  proxy_set_buffer_bytes(buffer, start, size, at, valueSize) {
    const all = this.buffers[buffer];
    const end = Math.min((start >>> 0) + (size >>> 0), all.length);
    this.buffers[buffer] = Buffer.concat([all.subarray(0, start), this.bytes(at, valueSize), all.subarray(end)]);
  }
  proxy_get_property(at, size, valueAt, sizeAt) {
    const value = this.properties.get(this.path(at, size));
    if (value) this.give(value, valueAt, sizeAt);
    return value ? OK : NOT_FOUND;
  }
  proxy_set_property(at, size, value, valueSize) { this.properties.set(this.path(at, size), this.bytes(value, valueSize)); }
  proxy_get_shared_data(key, keySize, at, sizeAt, versionAt) {
    const known = this.shared.get(this.text(key, keySize));
    if (!known) return NOT_FOUND;
    this.give(known.value, at, sizeAt);
    this.word(versionAt, known.version);
  }
  proxy_set_shared_data(key, keySize, value, valueSize) {
    const name = this.text(key, keySize);
    const version = (this.shared.get(name)?.version ?? 0) + 1;
    this.shared.set(name, { value: this.bytes(value, valueSize), version });
  }
  proxy_define_metric(_kind, _at, _size, idAt) { this.word(idAt, ++this.metrics); }
  proxy_increment_metric() {}
  proxy_record_metric() {}
  proxy_send_local_response() { this.replied = true; }
  proxy_continue_stream() {}
  proxy_set_effective_context() {}
  proxy_get_current_time_nanoseconds(at) {
    this.clock += 250_000n;
    new DataView(this.exports.memory.buffer).setBigUint64(at, this.clock, true);
  }
  clock_time_get(_id, _precision, at) { this.proxy_get_current_time_nanoseconds(at); }
  environ_sizes_get(countAt, sizeAt) { this.word(countAt, 0); this.word(sizeAt, 0); }
  environ_get() {}
}

for await (const line of createInterface({ input: process.stdin })) {
  const exchange = JSON.parse(line);
  const guest = new Guest(JSON.stringify(exchange.config));
  let best;
  const began = now();
  for (let round = 0; round < ROUNDS; round += 1) {
    const properties = new Map(guest.properties);
    const callbacks = guest.exchange(exchange, round + 2);
    guest.properties = properties;
    best = callbacks.map(({ name, time, calls }, index) => ({ name, calls, time: Math.min(time, best?.[index]?.time ?? Infinity) }));
    if (round > 0 && now() - began > BUDGET_MS * 1e3) break;
  }
  console.log(JSON.stringify(best));
}

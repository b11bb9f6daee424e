//! A host of proxy-wasm without network, clock or chance, in an interpreter that counts what it executes.
//!
//! It answers each call as Envoy would, notes it, and drives the callbacks of one exchange in Envoy's order. The same
//! module gives the same figures on every machine.
#![allow(dead_code, unreachable_pub, reason = "each test uses its own part")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a host that meets something unexpected fails the test"
)]

use super::exchanges::{Exchange, Headers};
use std::collections::BTreeMap;
use wasmi::{Caller, CompilationMode, Config, Engine, Extern, Func, Instance, Linker, Memory, Module, Store, Val};

/// More than any exchange takes.
const FUEL: u64 = 1 << 40;

/// What the clocks advance by with each look at them: a quarter of a millisecond.
const TICK_NS: u64 = 250_000;

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;

const ROOT: u32 = 1;

/// A compiled module.
pub struct Vm {
    engine: Engine,
    module: Module,
}

/// What one exchange cost.
#[derive(Clone, Debug)]
pub struct Cost {
    /// Instructions of WebAssembly; a copy of memory counts one for every 64 bytes. The interpreter takes them for whole
    /// blocks: a step of a state machine counts as all arms of its `match`, so they compare an input with a longer one of
    /// its kind, and a build with another, but not two kinds of input.
    pub fuel: u64,
    /// Every call of the host, in order: the callback it came in, the function, and what about.
    pub calls: Vec<(&'static str, String, String)>,
    /// The callbacks in order.
    pub callbacks: Vec<Callback>,
}

/// One call of the filter.
#[derive(Clone, Copy, Debug)]
pub struct Callback {
    /// Its name.
    pub name: &'static str,
    /// Its instructions, as [`Cost::fuel`] counts them.
    pub fuel: u64,
}

/// What the filter did with an exchange.
#[derive(Debug, Default)]
pub struct Seen {
    /// `:path` upstream.
    pub path: String,
    /// The body upstream.
    pub body: Vec<u8>,
    /// The response as the client gets it.
    pub response_body: Vec<u8>,
    /// The status of a local reply.
    pub replied: Option<u32>,
    /// What was written to the host's properties.
    pub properties: BTreeMap<String, Vec<u8>>,
}

#[derive(Default)]
struct Host {
    configuration: Vec<u8>,
    request: Vec<(String, Vec<u8>)>,
    response: Vec<(String, Vec<u8>)>,
    request_body: Vec<u8>,
    response_body: Vec<u8>,
    metrics: Vec<String>,
    shared: BTreeMap<String, (Vec<u8>, u32)>,
    now: u64,
    callback: &'static str,
    calls: Vec<(&'static str, String, String)>,
    callbacks: Vec<Callback>,
    seen: Seen,
}

impl Vm {
    /// Compiles a module, all of it at once, so that no part is compiled while it is measured.
    pub fn new(wasm: &[u8]) -> Self {
        let mut config = Config::default();
        config.consume_fuel(true).compilation_mode(CompilationMode::Eager);
        let engine = Engine::new(&config);
        let module = Module::new(&engine, wasm).unwrap();
        Self { engine, module }
    }

    /// Runs an exchange twice in a fresh VM; gives the cost of the second, after caches and series of metrics are warm,
    /// and what became of it.
    pub fn run(&self, exchange: &Exchange) -> (Cost, Seen) {
        let mut guest = Guest::start(&self.engine, &self.module, exchange.config.to_string().into_bytes());
        guest.exchange(exchange, 2);
        guest.exchange(exchange, 3)
    }
}

struct Guest {
    store: Store<Host>,
    instance: Instance,
}

impl Guest {
    fn start(engine: &Engine, module: &Module, configuration: Vec<u8>) -> Self {
        let size = i32::try_from(configuration.len()).unwrap();
        let mut store = Store::new(engine, Host { configuration, now: 1 << 60, ..Host::default() });
        store.set_fuel(FUEL).unwrap();
        let mut linker = Linker::new(engine);
        for import in module.imports() {
            let name = import.name().to_owned();
            let ty = import.ty().func().unwrap().clone();
            let call = move |mut caller: Caller<'_, Host>, parameters: &[Val], results: &mut [Val]| {
                let arguments: Vec<u32> = parameters.iter().map(low).collect();
                let status = answer(&mut caller, &name, &arguments);
                if let Some(result) = results.first_mut() {
                    *result = Val::I32(status.cast_signed());
                }
                Ok(())
            };
            linker.func_new(import.module(), import.name(), ty, call).unwrap();
        }
        let instance = linker.instantiate_and_start(&mut store, module).unwrap();
        let mut guest = Self { store, instance };
        guest.call("_initialize", &[]);
        guest.call("proxy_on_context_create", &[ROOT.cast_signed(), 0]);
        assert_eq!(guest.call("proxy_on_vm_start", &[ROOT.cast_signed(), 0]), 1);
        assert_eq!(guest.call("proxy_on_configure", &[ROOT.cast_signed(), size]), 1, "the configuration is refused");
        guest
    }

    /// Calls an export; 0 where it gives nothing or does not exist, as hosts take it.
    fn call(&mut self, name: &'static str, arguments: &[i32]) -> i32 {
        let Some(function) = self.instance.get_func(&self.store, name) else { return 0 };
        self.store.data_mut().callback = name.strip_prefix("proxy_on_").unwrap_or(name);
        let arguments: Vec<Val> = arguments.iter().map(|argument| Val::I32(*argument)).collect();
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        let before = self.store.get_fuel().unwrap();
        function.call(&mut self.store, &arguments, &mut results).unwrap();
        let fuel = before - self.store.get_fuel().unwrap();
        let host = self.store.data_mut();
        host.callbacks.push(Callback { name: host.callback, fuel });
        results.first().and_then(Val::i32).unwrap_or_default()
    }

    fn exchange(&mut self, exchange: &Exchange, id: i32) -> (Cost, Seen) {
        let host = self.store.data_mut();
        host.request = owned(&exchange.request);
        host.response = owned(&exchange.response);
        host.calls.clear();
        host.callbacks.clear();
        host.seen = Seen::default();
        self.store.set_fuel(FUEL).unwrap();

        self.call("proxy_on_context_create", &[id, ROOT.cast_signed()]);
        let count = |headers: &[(String, Vec<u8>)]| i32::try_from(headers.len()).unwrap();
        let headers = count(&self.store.data().request);
        self.call("proxy_on_request_headers", &[id, headers, exchange.request_body.is_empty().into()]);
        if self.store.data().seen.replied.is_none() {
            self.request_body(exchange, id);
        }
        let host = self.store.data_mut();
        host.seen.path = host.header(0, ":path");
        // A local reply passes the filters as a response does.
        let answer = match host.seen.replied {
            Some(status) => {
                host.response = vec![(":status".to_owned(), status.to_string().into_bytes())];
                vec![b"refused".to_vec()]
            }
            None => exchange.response_body.clone(),
        };
        let headers = count(&host.response);
        self.call("proxy_on_response_headers", &[id, headers, answer.is_empty().into()]);
        for (index, chunk) in answer.iter().enumerate() {
            let end = index + 1 == answer.len();
            self.store.data_mut().response_body.clone_from(chunk);
            self.call("proxy_on_response_body", &[id, i32::try_from(chunk.len()).unwrap(), end.into()]);
            let host = self.store.data_mut();
            let passed = std::mem::take(&mut host.response_body);
            host.seen.response_body.extend(passed);
        }
        self.call("proxy_on_log", &[id]);
        self.call("proxy_on_done", &[id]);
        self.call("proxy_on_delete", &[id]);

        let fuel = FUEL - self.store.get_fuel().unwrap();
        let host = self.store.data_mut();
        let calls = std::mem::take(&mut host.calls);
        let callbacks = std::mem::take(&mut host.callbacks);
        (Cost { fuel, calls, callbacks }, std::mem::take(&mut host.seen))
    }

    /// Gives the body chunk by chunk; what the filter does not let go is kept for it.
    fn request_body(&mut self, exchange: &Exchange, id: i32) {
        const CONTINUE: i32 = 0;
        for (index, chunk) in exchange.request_body.iter().enumerate() {
            let end = index + 1 == exchange.request_body.len();
            let buffer = &mut self.store.data_mut().request_body;
            buffer.extend_from_slice(chunk);
            let size = i32::try_from(buffer.len()).unwrap();
            if self.call("proxy_on_request_body", &[id, size, end.into()]) == CONTINUE {
                let host = self.store.data_mut();
                let passed = std::mem::take(&mut host.request_body);
                host.seen.body.extend(passed);
            }
        }
    }
}

fn owned(headers: &Headers) -> Vec<(String, Vec<u8>)> {
    headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into_bytes())).collect()
}

/// An argument as 32 bits; that of 64 bits, an increment or a value of a metric, is small here.
fn low(value: &Val) -> u32 {
    match value {
        Val::I32(value) => value.cast_unsigned(),
        Val::I64(value) => u32::try_from(*value).unwrap_or(u32::MAX),
        other => panic!("{other:?}"),
    }
}

impl Host {
    fn map(&mut self, map: u32) -> &mut Vec<(String, Vec<u8>)> {
        match map {
            0 => &mut self.request,
            2 => &mut self.response,
            other => panic!("the map {other}"),
        }
    }

    fn header(&mut self, map: u32, name: &str) -> String {
        let value = self.map(map).iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        String::from_utf8(value.unwrap_or_default()).unwrap()
    }

    fn buffer(&mut self, buffer: u32) -> &mut Vec<u8> {
        match buffer {
            0 => &mut self.request_body,
            1 => &mut self.response_body,
            7 => &mut self.configuration,
            other => panic!("the buffer {other}"),
        }
    }

    /// The name of a map or a buffer.
    const fn side(number: u32) -> &'static str {
        match number {
            0 => "request",
            1 | 2 => "response",
            _ => "",
        }
    }

    /// Headers as they cross the boundary: their number, all lengths, then names and values, each with a zero byte.
    fn serialised(map: &[(String, Vec<u8>)]) -> Vec<u8> {
        let word = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
        let mut out = word(map.len()).to_vec();
        for (name, value) in map {
            out.extend(word(name.len()));
            out.extend(word(value.len()));
        }
        for (name, value) in map {
            out.extend([name.as_bytes(), b"\0", value, b"\0"].concat());
        }
        out
    }
}

/// The memory of the guest during one call of the host.
struct Guarded<'c, 'h> {
    caller: &'c mut Caller<'h, Host>,
    memory: Memory,
}

impl Guarded<'_, '_> {
    fn read(&self, at: u32, size: u32) -> Vec<u8> {
        let (at, size) = (at as usize, size as usize);
        self.memory.data(&*self.caller)[at..at + size].to_vec()
    }

    fn text(&self, at: u32, size: u32) -> String {
        String::from_utf8(self.read(at, size)).unwrap()
    }

    fn write(&mut self, at: u32, bytes: &[u8]) {
        self.memory.write(&mut *self.caller, at as usize, bytes).unwrap();
    }

    /// Hands bytes over in memory that the guest allocates, as hosts do; nothing at all for no bytes.
    fn give(&mut self, bytes: &[u8], at: u32, size_at: u32) {
        let mut place = 0;
        if !bytes.is_empty() {
            let allocate: Func =
                self.caller.get_export("proxy_on_memory_allocate").and_then(Extern::into_func).unwrap();
            let mut result = [Val::I32(0)];
            let size = i32::try_from(bytes.len()).unwrap();
            allocate.call(&mut *self.caller, &[Val::I32(size)], &mut result).unwrap();
            place = low(&result[0]);
            self.write(place, bytes);
        }
        self.write(at, &place.to_le_bytes());
        self.write(size_at, &u32::try_from(bytes.len()).unwrap().to_le_bytes());
    }
}

/// Answers one call.
fn answer(caller: &mut Caller<'_, Host>, name: &str, arguments: &[u32]) -> u32 {
    let memory = caller.get_export("memory").and_then(Extern::into_memory).unwrap();
    let mut guest = Guarded { caller, memory };
    let (about, status) = respond(&mut guest, name, arguments);
    let host = guest.caller.data_mut();
    host.calls.push((host.callback, name.strip_prefix("proxy_").unwrap_or(name).to_owned(), about));
    status
}

/// What a call is about, and its status.
fn respond(guest: &mut Guarded<'_, '_>, name: &str, arguments: &[u32]) -> (String, u32) {
    match (name, arguments) {
        ("proxy_get_log_level", &[at]) => {
            const INFO: u32 = 2;
            guest.write(at, &INFO.to_le_bytes());
            (String::new(), OK)
        }
        ("proxy_log", &[_, at, size]) => {
            let text = guest.text(at, size);
            // The only line of a sound configuration.
            assert!(text.ends_with("is configured"), "it logs: {text}");
            (text, OK)
        }
        ("proxy_set_tick_period_milliseconds", _) => (String::new(), OK),
        ("proxy_get_header_map_pairs", &[map, at, size_at]) => {
            let bytes = Host::serialised(guest.caller.data_mut().map(map));
            guest.give(&bytes, at, size_at);
            (Host::side(map).to_owned(), OK)
        }
        ("proxy_get_header_map_value", &[map, key, key_size, at, size_at]) => {
            let key = guest.text(key, key_size);
            let value = guest.caller.data_mut().header(map, &key);
            guest.give(value.as_bytes(), at, size_at);
            (key, if value.is_empty() { NOT_FOUND } else { OK })
        }
        ("proxy_replace_header_map_value", &[map, key, key_size, value, value_size]) => {
            let (key, value) = (guest.text(key, key_size), guest.read(value, value_size));
            let headers = guest.caller.data_mut().map(map);
            headers.retain(|(known, _)| *known != key);
            headers.push((key.clone(), value));
            (key, OK)
        }
        ("proxy_remove_header_map_value", &[map, key, key_size]) => {
            let key = guest.text(key, key_size);
            guest.caller.data_mut().map(map).retain(|(known, _)| *known != key);
            (key, OK)
        }
        ("proxy_set_header_map_pairs", &[map, at, size]) => {
            let bytes = guest.read(at, size);
            *guest.caller.data_mut().map(map) = parsed(&bytes);
            (Host::side(map).to_owned(), OK)
        }
        ("proxy_get_buffer_bytes", &[buffer, start, max, at, size_at]) => {
            let bytes = guest.caller.data_mut().buffer(buffer);
            let rest = bytes.get(start as usize..).unwrap_or_default();
            let part = rest[..rest.len().min(max as usize)].to_vec();
            guest.give(&part, at, size_at);
            (Host::side(buffer).to_owned(), OK)
        }
        ("proxy_set_buffer_bytes", &[buffer, start, size, at, value_size]) => {
            let value = guest.read(at, value_size);
            let bytes = guest.caller.data_mut().buffer(buffer);
            let start = (start as usize).min(bytes.len());
            let end = start.saturating_add(size as usize).min(bytes.len());
            bytes.splice(start..end, value);
            (Host::side(buffer).to_owned(), OK)
        }
        ("proxy_get_property", &[path, path_size, at, size_at]) => {
            let path = guest.text(path, path_size).trim_end_matches('\0').replace('\0', ".");
            // The name of the route is there on every Envoy.
            let route = || (path == "xds.route_name").then(|| b"ai".to_vec());
            let value = guest.caller.data().seen.properties.get(&path).cloned().or_else(route);
            if let Some(value) = &value {
                guest.give(value, at, size_at);
            }
            (path, if value.is_some() { OK } else { NOT_FOUND })
        }
        ("proxy_set_property", &[path, path_size, value, value_size]) => {
            let path = guest.text(path, path_size).trim_end_matches('\0').replace('\0', ".");
            let value = guest.read(value, value_size);
            guest.caller.data_mut().seen.properties.insert(path.clone(), value);
            (path, OK)
        }
        ("proxy_get_shared_data", &[key, key_size, at, size_at, version_at]) => {
            let key = guest.text(key, key_size);
            let Some((value, version)) = guest.caller.data().shared.get(&key).cloned() else { return (key, NOT_FOUND) };
            guest.give(&value, at, size_at);
            guest.write(version_at, &version.to_le_bytes());
            (key, OK)
        }
        ("proxy_set_shared_data", &[key, key_size, value, value_size, _]) => {
            let (key, value) = (guest.text(key, key_size), guest.read(value, value_size));
            let shared = &mut guest.caller.data_mut().shared;
            let version = shared.get(&key).map_or(0, |(_, version)| *version) + 1;
            shared.insert(key.clone(), (value, version));
            (key, OK)
        }
        ("proxy_define_metric", &[_, at, size, id_at]) => {
            let name = guest.text(at, size);
            let metrics = &mut guest.caller.data_mut().metrics;
            metrics.push(name.clone());
            let id = u32::try_from(metrics.len()).unwrap();
            guest.write(id_at, &id.to_le_bytes());
            (name, OK)
        }
        ("proxy_increment_metric" | "proxy_record_metric", &[id, _]) => {
            (guest.caller.data().metrics[id as usize - 1].clone(), OK)
        }
        ("proxy_send_local_response", &[status, ..]) => {
            guest.caller.data_mut().seen.replied = Some(status);
            (status.to_string(), OK)
        }
        ("proxy_get_current_time_nanoseconds", &[at]) | ("clock_time_get", &[_, _, at]) => {
            let host = guest.caller.data_mut();
            host.now += TICK_NS;
            let now = host.now.to_le_bytes();
            guest.write(at, &now);
            (String::new(), OK)
        }
        ("environ_sizes_get", &[count_at, size_at]) => {
            guest.write(count_at, &[0; 4]);
            guest.write(size_at, &[0; 4]);
            (String::new(), OK)
        }
        ("environ_get", _) => (String::new(), OK),
        _ => panic!("the host has no {name} with {} parameters", arguments.len()),
    }
}

/// The reverse of [`Host::serialised`].
fn parsed(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let count = word(0);
    let mut at = 4 + 8 * count;
    let mut headers = Vec::new();
    for index in 0..count {
        let (name, value) = (word(4 + 8 * index), word(8 + 8 * index));
        let text = String::from_utf8(bytes[at..at + name].to_vec()).unwrap();
        headers.push((text, bytes[at + name + 1..at + name + 1 + value].to_vec()));
        at += name + value + 2;
    }
    headers
}

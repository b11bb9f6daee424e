//! A real Envoy as a child process, with the shipped `envoy/envoy.yaml` as its bootstrap.
//!
//! Only what a test cannot share is replaced: listener and admin take free loopback ports, the filter is loaded from
//! the build directory, and the cluster leads to the given upstream. Everything else is what users copy, unless a test
//! changes it through [`EnvoyConfig`].

use super::client::{Client, Response};
use super::{root, wasm_path, wasm_problem};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// The version that is installed and tested by default, under `target/envoy/`. The Makefile names the same one.
const DEFAULT_VERSION: &str = "1.40.0";

/// Limit from the start of the process to the first `/ready`; generous, because machines of CI are slow and shared.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Limit for something that Envoy writes with a delay: access log, statistics.
const OBSERVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause between two looks at something that is not ready yet.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// How soon the access log reaches its file, in milliseconds.
const LOG_FLUSH_INTERVAL_MS: u32 = 50;

/// How much of a log a failed test prints, in bytes.
const LOG_TAIL: usize = 8 << 10;

const HTTP_PROTOCOL_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// The Envoy under test: `$ENVOY`, or the one that `make` installs.
pub fn envoy_path() -> PathBuf {
    std::env::var_os("ENVOY")
        .filter(|path| !path.is_empty())
        .map_or_else(|| root().join(format!("target/envoy/{DEFAULT_VERSION}/bin/envoy")), PathBuf::from)
}

// -- Configuration ----------------------------------------------------------------------------------------------------

/// The bootstrap of an Envoy: the shipped one, and what a test wants different.
#[derive(Clone, Debug)]
pub struct EnvoyConfig {
    bootstrap: Value,
    concurrency: u32,
    log_level: &'static str,
    needs_wasm: bool,
}

impl EnvoyConfig {
    /// `envoy/envoy.yaml` in front of `upstream`.
    pub fn new(upstream: SocketAddr) -> Self {
        Self::shipped("envoy.yaml", upstream)
    }

    /// A file of `envoy/` in front of `upstream`. Its first listener and its first cluster are the ones that tests use.
    pub fn shipped(file: &str, upstream: SocketAddr) -> Self {
        let path = root().join("envoy").join(file);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let bootstrap = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut config = Self { bootstrap, concurrency: 1, log_level: "info", needs_wasm: true };
        config.listener_mut()["address"] = address(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        config.bootstrap["admin"]["address"] = address(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        config.wasm_mut()["vm_config"]["code"]["local"]["filename"] = json!(wasm_path());
        config.cluster_mut()["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"] =
            address(upstream);
        config
    }

    /// Replaces Waypost's configuration.
    pub fn waypost(self, configuration: &Value) -> Self {
        self.waypost_text(&configuration.to_string())
    }

    /// Replaces Waypost's configuration by any text, also by one that is no JSON.
    pub fn waypost_text(mut self, configuration: &str) -> Self {
        self.wasm_mut()["configuration"]["value"] = json!(configuration);
        self
    }

    /// Changes Waypost's configuration.
    pub fn edit_waypost(mut self, edit: impl FnOnce(&mut Value)) -> Self {
        let text = &mut self.wasm_mut()["configuration"]["value"];
        let mut configuration = serde_json::from_str(text.as_str().expect("a text")).expect("a configuration in JSON");
        edit(&mut configuration);
        *text = json!(configuration.to_string());
        self
    }

    /// Sets `allow_on_headers_stop_iteration`, which the shipped file switches on.
    pub fn stop_iteration(mut self, allowed: bool) -> Self {
        self.wasm_mut()["allow_on_headers_stop_iteration"] = json!(allowed);
        self
    }

    /// Lets the upstream see every header that Waypost writes, also those that the shipped file then removes because
    /// vendors need not know them.
    pub fn keep_request_headers(mut self) -> Self {
        let routes = self.http_mut()["route_config"].as_object_mut().expect("a route configuration");
        routes.remove("request_headers_to_remove");
        self
    }

    /// Replaces the virtual hosts.
    pub fn virtual_hosts(mut self, virtual_hosts: Value) -> Self {
        self.http_mut()["route_config"]["virtual_hosts"] = virtual_hosts;
        self
    }

    /// Replaces the routes of the one virtual host.
    pub fn routes(mut self, routes: Value) -> Self {
        self.http_mut()["route_config"]["virtual_hosts"][0]["routes"] = routes;
        self
    }

    /// Sets what Envoy buffers at most, per connection, in bytes.
    pub fn buffer_limit(mut self, bytes: u32) -> Self {
        self.listener_mut()["per_connection_buffer_limit_bytes"] = json!(bytes);
        self
    }

    /// Leaves what Envoy buffers to its own default, 1 MiB, whatever the shipped file says.
    pub fn default_buffer_limit(self) -> Self {
        let field = "per_connection_buffer_limit_bytes";
        self.edit(|bootstrap| {
            let listener = bootstrap["static_resources"]["listeners"][0].as_object_mut().expect("a listener");
            listener.remove(field);
        })
    }

    /// Sets the largest header block of a request, in KiB.
    pub fn max_request_headers_kb(mut self, kb: u32) -> Self {
        self.http_mut()["max_request_headers_kb"] = json!(kb);
        self
    }

    /// Sets any field of the HTTP connection manager.
    pub fn http_field(mut self, name: &str, value: Value) -> Self {
        self.http_mut()[name] = value;
        self
    }

    /// Adds fields to the access log.
    pub fn log_fields(mut self, fields: impl IntoIterator<Item = (String, Value)>) -> Self {
        let format = &mut self.http_mut()["access_log"][0]["typed_config"]["log_format"]["json_format"];
        format.as_object_mut().expect("an access log in JSON").extend(fields);
        self
    }

    /// Adds a cluster like `upstream`, with another name and upstream, for tests with several routes.
    pub fn add_cluster(mut self, name: &str, upstream: SocketAddr) -> Self {
        let mut cluster = self.cluster_mut().clone();
        cluster["name"] = json!(name);
        cluster["load_assignment"]["cluster_name"] = json!(name);
        cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"] = address(upstream);
        self.clusters_mut().push(cluster);
        self
    }

    /// Points a cluster of the shipped file at another address.
    pub fn cluster_address(mut self, name: &str, to: SocketAddr) -> Self {
        let cluster = self.clusters_mut().iter_mut().find(|cluster| cluster["name"] == name);
        let cluster = cluster.unwrap_or_else(|| panic!("no cluster {name}"));
        cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"] = address(to);
        self
    }

    /// Speaks HTTP/2 to the upstream. Not together with [`Self::upstream_filter`].
    pub fn upstream_http2(mut self) -> Self {
        self.cluster_mut()["typed_extension_protocol_options"] = json!({HTTP_PROTOCOL_OPTIONS: {
            "@type": format!("type.googleapis.com/{HTTP_PROTOCOL_OPTIONS}"),
            "explicit_http_config": {"http2_protocol_options": {}},
        }});
        self
    }

    /// Moves the filter from the listener into the cluster, where it runs after routing and once for each attempt.
    pub fn upstream_filter(mut self) -> Self {
        let filter = self.remove_filter();
        self.cluster_mut()["typed_extension_protocol_options"] = json!({HTTP_PROTOCOL_OPTIONS: {
            "@type": format!("type.googleapis.com/{HTTP_PROTOCOL_OPTIONS}"),
            "explicit_http_config": {"http_protocol_options": {}},
            "http_filters": [filter, {
                "name": "envoy.filters.http.upstream_codec",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec",
                },
            }],
        }});
        self
    }

    /// Leaves the filter out: the yardstick of benchmarks.
    pub fn without_filter(mut self) -> Self {
        self.remove_filter();
        self.needs_wasm = false;
        self
    }

    /// Puts an HTTP filter in front of all others.
    pub fn http_filter(mut self, filter: Value) -> Self {
        self.filters_mut().insert(0, filter);
        self
    }

    /// Loads another wasm in place of Waypost; for yardsticks too.
    pub fn wasm_file(mut self, path: &Path) -> Self {
        self.wasm_mut()["vm_config"]["code"]["local"]["filename"] = json!(path);
        self.needs_wasm = false;
        self
    }

    /// Sets the number of worker threads, 1 unless set.
    pub fn concurrency(mut self, workers: u32) -> Self {
        self.concurrency = workers;
        self
    }

    /// Sets Envoy's log level, `info` unless set.
    pub fn log_level(mut self, level: &'static str) -> Self {
        self.log_level = level;
        self
    }

    /// Changes whatever else there is.
    pub fn edit(mut self, edit: impl FnOnce(&mut Value)) -> Self {
        edit(&mut self.bootstrap);
        self
    }

    fn listener_mut(&mut self) -> &mut Value {
        &mut self.bootstrap["static_resources"]["listeners"][0]
    }

    fn http_mut(&mut self) -> &mut Value {
        &mut self.listener_mut()["filter_chains"][0]["filters"][0]["typed_config"]
    }

    fn clusters_mut(&mut self) -> &mut Vec<Value> {
        self.bootstrap["static_resources"]["clusters"].as_array_mut().expect("a list of clusters")
    }

    fn cluster_mut(&mut self) -> &mut Value {
        &mut self.clusters_mut()[0]
    }

    fn filters_mut(&mut self) -> &mut Vec<Value> {
        self.http_mut()["http_filters"].as_array_mut().expect("a list of HTTP filters")
    }

    /// The filter's plugin configuration, wherever the filter stands.
    fn wasm_mut(&mut self) -> &mut Value {
        let in_listener = self.filters_mut().iter().any(is_wasm);
        let filters = if in_listener {
            self.filters_mut()
        } else {
            self.cluster_mut()["typed_extension_protocol_options"][HTTP_PROTOCOL_OPTIONS]["http_filters"]
                .as_array_mut()
                .expect("a wasm filter in the listener or in the cluster")
        };
        let filter = filters.iter_mut().find(|filter| is_wasm(filter)).expect("a wasm filter");
        &mut filter["typed_config"]["config"]
    }

    fn remove_filter(&mut self) -> Value {
        let filters = self.filters_mut();
        let index = filters.iter().position(is_wasm).expect("a wasm filter in the listener");
        filters.remove(index)
    }
}

fn is_wasm(filter: &Value) -> bool {
    filter["typed_config"]["@type"].as_str().is_some_and(|name| name.ends_with(".filters.http.wasm.v3.Wasm"))
}

fn address(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}})
}

// -- Process ----------------------------------------------------------------------------------------------------------

/// Why Envoy did not become ready, with the end of its log.
pub struct StartError {
    pub reason: String,
    /// The whole log.
    pub log: String,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.reason, tail(&without_noise(&self.log)))
    }
}

impl fmt::Debug for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for StartError {}

/// A running Envoy. Dropping it kills this one process and removes its files; if the test is failing, they stay.
#[derive(Debug)]
pub struct Envoy {
    process: Process,
    files: Option<tempfile::TempDir>,
    address: SocketAddr,
    admin: SocketAddr,
}

/// Killed and reaped with its owner, whatever way that ends.
#[derive(Debug)]
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Envoy {
    /// Starts Envoy and waits until it is ready.
    ///
    /// # Errors
    /// When Envoy or the wasm is missing, or Envoy stops or does not become ready in time.
    pub async fn start(config: EnvoyConfig) -> Result<Self, StartError> {
        let fail = |reason: String| StartError { reason, log: String::new() };
        if let Some(problem) = config.needs_wasm.then(wasm_problem).flatten() {
            return Err(fail(problem));
        }
        let files = tempfile::Builder::new().prefix("waypost-envoy-").tempdir();
        let files = files.map_err(|error| fail(format!("no temporary directory: {error}")))?;
        let child = spawn(&config, files.path()).map_err(|error| {
            let path = envoy_path();
            fail(format!("{}: {error}\n`make test-e2e` installs Envoy; ENVOY=/path names another one", path.display()))
        })?;
        let mut process = Process(child);
        match ready(&mut process, files.path()).await {
            Ok((address, admin)) => Ok(Self { process, files: Some(files), address, admin }),
            Err(reason) => Err(StartError { reason, log: read(&files.path().join(LOG_FILE)) }),
        }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The admin interface.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The process, for measurements of its CPU time and memory.
    pub fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// A figure of the process's memory in KiB, as Linux calls it: `VmRSS` now, `VmHWM` at its highest.
    pub fn memory_kb(&self, figure: &str) -> u64 {
        let path = format!("/proc/{}/status", self.pid());
        let status = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let line = status.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(':'));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.unwrap_or_else(|| panic!("{path} has no {figure}"))
    }

    /// Whether Envoy still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.process.0.try_wait(), Ok(None))
    }

    /// A page of the admin interface.
    pub async fn admin_get(&self, path: &str) -> io::Result<Response> {
        Client::http1(self.admin).get(path).await
    }

    /// All counters and gauges. Histograms are left out.
    pub async fn stats(&self) -> BTreeMap<String, u64> {
        let page = self.admin_get("/stats").await.expect("the statistics page").text();
        page.lines()
            .filter_map(|line| line.rsplit_once(": "))
            .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
            .collect()
    }

    /// One counter or gauge; 0 if there is none of that name.
    pub async fn stat(&self, name: &str) -> u64 {
        self.stats().await.get(name).copied().unwrap_or(0)
    }

    /// What changes when a wasm VM fails: VMs created, reloads.
    pub async fn wasm_stats(&self) -> BTreeMap<String, u64> {
        let mut stats = self.stats().await;
        stats.retain(|name, _| name.contains("vm_reload") || name.starts_with("wasm.envoy.wasm.runtime"));
        assert!(!stats.is_empty(), "Envoy has no statistics about its wasm VMs");
        stats
    }

    /// What Envoy logged so far, the filter's lines among it.
    pub fn log(&self) -> String {
        read(&self.file(LOG_FILE))
    }

    /// The lines of the log at warning level and above.
    pub fn complaints(&self) -> Vec<String> {
        let levels = ["[warning]", "[error]", "[critical]"];
        self.log().lines().filter(|line| levels.iter().any(|level| line.contains(level))).map(str::to_owned).collect()
    }

    /// The lines of the access log so far.
    pub fn access_log(&self) -> Vec<Value> {
        read(&self.file(ACCESS_LOG_FILE)).lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The access log as soon as it has `count` lines; panics when they do not come.
    pub async fn wait_for_access_log(&self, count: usize) -> Vec<Value> {
        let start = Instant::now();
        loop {
            let lines = self.access_log();
            if lines.len() >= count {
                return lines;
            }
            assert!(start.elapsed() < OBSERVE_TIMEOUT, "waited for {count} access log lines, got {lines:?}");
            sleep(POLL_INTERVAL).await;
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.files.as_ref().map_or_else(PathBuf::new, |files| files.path().join(name))
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(files) = self.files.take()
        {
            let log = without_noise(&read(&files.path().join(LOG_FILE)));
            eprintln!("Envoy's log, from {}:\n{}", files.keep().display(), tail(&log));
        }
    }
}

const BOOTSTRAP_FILE: &str = "bootstrap.json";
const LOG_FILE: &str = "envoy.log";
const ACCESS_LOG_FILE: &str = "access.log";
const ADMIN_ADDRESS_FILE: &str = "admin-address";

fn spawn(config: &EnvoyConfig, files: &Path) -> io::Result<Child> {
    let bootstrap = files.join(BOOTSTRAP_FILE);
    fs::write(&bootstrap, config.bootstrap.to_string())?;
    Command::new(envoy_path())
        .arg("--config-path")
        .arg(bootstrap)
        .arg("--admin-address-path")
        .arg(files.join(ADMIN_ADDRESS_FILE))
        .arg("--concurrency")
        .arg(config.concurrency.to_string())
        .arg("--file-flush-interval-msec")
        .arg(LOG_FLUSH_INTERVAL_MS.to_string())
        .args(["--log-level", config.log_level])
        // Shares nothing with another Envoy on this machine, neither a base id nor memory.
        .arg("--disable-hot-restart")
        .stdin(Stdio::null())
        // The shipped access log goes to stdout, Envoy's own log to stderr.
        .stdout(File::create(files.join(ACCESS_LOG_FILE))?)
        .stderr(File::create(files.join(LOG_FILE))?)
        .spawn()
}

/// Waits for `/ready`; then the addresses of listener and admin interface are known.
async fn ready(process: &mut Process, files: &Path) -> Result<(SocketAddr, SocketAddr), String> {
    let start = Instant::now();
    loop {
        if let Ok(Some(status)) = process.0.try_wait() {
            return Err(format!("Envoy refused to start ({status})"));
        }
        if start.elapsed() > START_TIMEOUT {
            return Err(format!("Envoy was not ready within {START_TIMEOUT:?}"));
        }
        if let Ok(admin) = read(&files.join(ADMIN_ADDRESS_FILE)).trim().parse::<SocketAddr>() {
            let mut client = Client::http1(admin);
            if client.get("/ready").await.is_ok_and(|response| response.status.is_success()) {
                let listeners = client.get("/listeners?format=json").await.map_err(|error| error.to_string())?;
                return Ok((listener_address(&listeners.body)?, admin));
            }
        }
        sleep(POLL_INTERVAL).await;
    }
}

fn listener_address(listeners: &[u8]) -> Result<SocketAddr, String> {
    let listeners: Value = serde_json::from_slice(listeners).map_err(|error| error.to_string())?;
    let port = listeners["listener_statuses"][0]["local_address"]["socket_address"]["port_value"].as_u64();
    let port = port.and_then(|port| u16::try_from(port).ok());
    port.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))).ok_or_else(|| format!("no listener in {listeners}"))
}

fn read(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// A log without the lists of extensions that Envoy starts it with.
fn without_noise(log: &str) -> String {
    log.lines().filter(|line| !line.contains("[info][main]")).fold(String::new(), |log, line| log + line + "\n")
}

fn tail(log: &str) -> String {
    let from = log.len().saturating_sub(LOG_TAIL);
    String::from_utf8_lossy(&log.as_bytes()[from..]).into_owned()
}

//! A real Prometheus as a child process, and `promtool`: Debian's package, which `make` unpacks under `target/`.

use super::client::Client;
use super::root;
use serde_json::Value;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Limit from the start of the process to its first readiness.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Pause between two looks at something that is not ready yet.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A port that was free may be taken when Prometheus asks for it; then the next one is tried.
const PORT_ATTEMPTS: usize = 3;

/// What Prometheus may keep on disk.
const RETENTION: &str = "64MB";

/// `prometheus` or `promtool`, in `$PROMETHEUS` or where `make` puts them.
pub fn program(name: &str) -> PathBuf {
    let directory = std::env::var_os("PROMETHEUS").filter(|path| !path.is_empty());
    let path = directory.map_or_else(|| root().join("target/prometheus/usr/bin"), PathBuf::from).join(name);
    assert!(path.is_file(), "{} is missing; `make test-e2e` installs it", path.display());
    path
}

/// Runs `promtool`, which must have nothing to object.
pub fn promtool(arguments: &[&str]) {
    let output = Command::new(program("promtool")).args(arguments).current_dir(root()).output().expect("promtool");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "promtool {arguments:?}:\n{}", String::from_utf8_lossy(&said));
}

/// A running Prometheus. Dropping it kills this one process and removes its files.
#[derive(Debug)]
pub struct Prometheus {
    process: Child,
    files: tempfile::TempDir,
    address: SocketAddr,
}

/// One series of a result.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Its labels, as JSON: all of them texts.
    pub labels: Value,
    pub value: f64,
}

impl Prometheus {
    /// Starts Prometheus with this configuration, whose paths must be absolute, and waits until it is ready.
    pub async fn start(configuration: &Value) -> Self {
        for _ in 0..PORT_ATTEMPTS {
            if let Some(prometheus) = Self::try_start(configuration).await {
                return prometheus;
            }
        }
        panic!("Prometheus did not start in {PORT_ATTEMPTS} attempts");
    }

    async fn try_start(configuration: &Value) -> Option<Self> {
        let files = tempfile::Builder::new().prefix("waypost-prometheus-").tempdir().expect("a temporary directory");
        // YAML is a superset of JSON.
        fs::write(files.path().join("prometheus.yaml"), configuration.to_string()).expect("a file");
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let address = free.expect("a free loopback port");
        let process = Command::new(program("prometheus"))
            .arg(format!("--config.file={}", files.path().join("prometheus.yaml").display()))
            .arg(format!("--storage.tsdb.path={}", files.path().join("data").display()))
            .arg(format!("--storage.tsdb.retention.size={RETENTION}"))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=warn")
            .current_dir(files.path())
            // A proxy of this machine is none of the test's business.
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(files.path().join(LOG_FILE)).expect("a file"))
            .spawn()
            .expect("Prometheus starts");
        let mut prometheus = Self { process, files, address };
        let start = Instant::now();
        loop {
            if let Ok(Some(status)) = prometheus.process.try_wait() {
                let log = prometheus.log();
                assert!(log.contains("address already in use"), "Prometheus ended ({status}):\n{log}");
                return None;
            }
            let ready = Client::http1(address).get("/-/ready").await;
            if ready.is_ok_and(|response| response.status.is_success()) {
                return Some(prometheus);
            }
            assert!(start.elapsed() < START_TIMEOUT, "Prometheus was not ready in time:\n{}", prometheus.log());
            sleep(POLL_INTERVAL).await;
        }
    }

    /// What it logged, warnings and above.
    pub fn log(&self) -> String {
        read(&self.files.path().join(LOG_FILE))
    }

    /// Evaluates an expression now; the result is a list of series, or a message.
    pub async fn query(&self, expression: &str) -> Result<Vec<Sample>, String> {
        let encoded = expression.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let response = Client::http1(self.address).get(&format!("/api/v1/query?query={encoded}")).await;
        let body = response.map_err(|error| error.to_string())?.body;
        let answer: Value = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        if answer["status"] != "success" {
            return Err(answer["error"].as_str().unwrap_or_default().to_owned());
        }
        let series = answer["data"]["result"].as_array().ok_or("the result is no list of series")?;
        let sample = |series: &Value| {
            let value = series["value"][1].as_str()?.parse().ok()?;
            Some(Sample { labels: series["metric"].clone(), value })
        };
        series.iter().map(|series| sample(series).ok_or_else(|| format!("no value in {series}"))).collect()
    }

    /// The rules that it has loaded, with their health.
    pub async fn rules(&self) -> Vec<Value> {
        let response = Client::http1(self.address).get("/api/v1/rules").await.expect("the rules");
        let answer: Value = serde_json::from_slice(&response.body).expect("JSON");
        let groups = answer["data"]["groups"].as_array().expect("groups");
        groups.iter().flat_map(|group| group["rules"].as_array().expect("rules")).cloned().collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const LOG_FILE: &str = "prometheus.log";

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

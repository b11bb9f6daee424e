//! The image that `make dist` writes: the same bytes each time, readable by the tools that people push it with, and what
//! comes out of a registry again is the filter that Envoy loads.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that meets something unexpected fails"
)]

mod support;

use serde_json::Value;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::{Client, Envoy, EnvoyConfig, Upstream, root, wasm_path, wasm_problem};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Limit for the registry to answer.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// Where `make test-e2e` unpacks skopeo and the registry.
fn tools() -> PathBuf {
    let directory = root().join("target/image-tools");
    assert!(directory.join("usr/bin/skopeo").is_file(), "skopeo is missing; `make test-e2e` unpacks it");
    directory
}

/// The image of the filter under test, in a file.
fn image(directory: &Path, name: &str) -> PathBuf {
    let path = directory.join(name);
    let output = Command::new("python3")
        .arg(root().join("tools/image.py"))
        .args([&wasm_path(), &path])
        .args(["--version", VERSION, "--revision", "0123456789abcdef", "--epoch", "1790000000"])
        .output()
        .expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    path
}

/// What skopeo printed.
fn skopeo(arguments: &[&str]) -> Vec<u8> {
    let tools = tools();
    let libraries = [tools.join("usr/lib/x86_64-linux-gnu"), tools.join("lib/x86_64-linux-gnu")];
    let output = Command::new(tools.join("usr/bin/skopeo"))
        // The one of a distribution has a policy in /etc; an unpacked one has none.
        .arg("--insecure-policy")
        .args(arguments)
        .env("LD_LIBRARY_PATH", std::env::join_paths(libraries).expect("paths"))
        .stdin(Stdio::null())
        .output()
        .expect("skopeo starts");
    assert!(output.status.success(), "skopeo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A registry on loopback that ends with its owner.
struct Registry {
    process: Child,
    address: SocketAddr,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Registry {
    async fn start(directory: &Path) -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let address = free.expect("a free port");
        let configuration = directory.join("registry.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{address}'}}\n",
            directory.join("registry").display()
        );
        fs::write(&configuration, text).expect("the registry's configuration");
        let process = Command::new(tools().join("usr/bin/docker-registry"))
            .args([Path::new("serve"), &configuration])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the registry starts");
        let registry = Self { process, address };
        let deadline = Instant::now() + START_TIMEOUT;
        while Client::http1(address).get("/v2/").await.is_err() {
            assert!(Instant::now() < deadline, "the registry does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        registry
    }
}

/// The one file of the last layer of an image that was copied into a directory.
fn plugin(directory: &Path) -> Vec<u8> {
    let manifest = fs::read(directory.join("manifest.json")).expect("a manifest");
    let manifest: Value = serde_json::from_slice(&manifest).expect("a manifest in JSON");
    let layer = manifest["layers"].as_array().and_then(|layers| layers.last()).expect("a layer");
    assert_eq!(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
    let digest = layer["digest"].as_str().and_then(|digest| digest.strip_prefix("sha256:")).expect("a digest");
    let list = Command::new("tar").arg("-tzf").arg(directory.join(digest)).output().expect("tar");
    assert_eq!(String::from_utf8_lossy(&list.stdout), "plugin.wasm\n", "hosts look for this one file");
    Command::new("tar").arg("-xzOf").arg(directory.join(digest)).arg("plugin.wasm").output().expect("tar").stdout
}

#[tokio::test]
async fn the_image_goes_through_a_registry_and_starts_in_envoy() {
    assert_eq!(wasm_problem(), None);
    let files = tempfile::tempdir().expect("a directory");
    let first = image(files.path(), "a.oci.tar");
    let second = image(files.path(), "b.oci.tar");
    assert!(fs::read(&first).expect("a") == fs::read(&second).expect("b"), "two builds differ");

    let archive = format!("oci-archive:{}", first.display());
    let inspected: Value = serde_json::from_slice(&skopeo(&["inspect", "--raw", &archive])).expect("a manifest");
    assert_eq!(inspected["annotations"]["org.opencontainers.image.version"], VERSION);
    assert_eq!(inspected["annotations"]["org.opencontainers.image.revision"], "0123456789abcdef");

    let registry = Registry::start(files.path()).await;
    let name = format!("docker://{}/waypost:{VERSION}", registry.address);
    skopeo(&["copy", "--dest-tls-verify=false", &archive, &name]);
    let pulled = files.path().join("pulled");
    skopeo(&["copy", "--src-tls-verify=false", &name, &format!("dir:{}", pulled.display())]);

    let wasm = files.path().join("pulled.wasm");
    let bytes = plugin(&pulled);
    assert!(bytes == fs::read(wasm_path()).expect("the wasm"), "what came out of the registry is another file");
    fs::write(&wasm, bytes).expect("a file");

    let upstream = Upstream::start().await;
    let envoy = Envoy::start(EnvoyConfig::new(upstream.address()).wasm_file(&wasm)).await.expect("Envoy starts");
    let log = envoy.log();
    assert!(log.contains(&format!("waypost {VERSION} (")), "no line says which version and commit runs:\n{log}");
}

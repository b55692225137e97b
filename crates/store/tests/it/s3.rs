//! Published files in a bucket, against a service of its own for each test: moto, from PyPI.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use countersign_store::{Files, FilesConfig};

use crate::files::{conformance, conformance_of_many, conformance_of_pieces};

/// Starts the service in the thread of a Python process that ends with this one, and makes the bucket.
const SERVICE: &str = r#"
import sys, boto3
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
url = f"http://{host}:{port}"
s3 = boto3.client("s3", endpoint_url=url, region_name="us-east-1",
                  aws_access_key_id="test", aws_secret_access_key="test")
s3.create_bucket(Bucket="published")
s3.create_bucket(Bucket="published-below")
print(url, flush=True)
sys.stdin.read()
"#;

struct Service {
    url: String,
    process: Child,
}

impl Service {
    fn start() -> Option<Self> {
        let installed = Command::new("python3")
            .args(["-c", "import moto.server, boto3"])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if !installed {
            #[allow(clippy::print_stdout)]
            {
                println!("skipped: `pip install 'moto[server,s3]' boto3` is needed for the S3 tests");
            }
            return None;
        }
        let mut process = Command::new("python3")
            .args(["-c", SERVICE])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Some(Self { url: url.trim().into(), process })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_bucket_holds_published_files_with_and_without_a_prefix() {
    const NAME: &str = "s3::a_bucket_holds_published_files_with_and_without_a_prefix";
    let credentials = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];
    if credentials.iter().all(|(name, value)| std::env::var(name).as_deref() == Ok(*value)) {
        return tokio::runtime::Runtime::new().unwrap().block_on(with_credentials());
    }
    // Credentials come from the environment, which a process cannot safely change for itself.
    let status = Command::new(std::env::current_exe().unwrap())
        .args([NAME, "--exact", "--nocapture"])
        .envs(credentials)
        .status();
    assert!(status.unwrap().success());
}

async fn with_credentials() {
    let Some(service) = Service::start() else { return };
    for prefix in ["", "/some/where"] {
        let bucket = if prefix.is_empty() { "published" } else { "published-below" };
        let url = format!("s3://{bucket}{prefix}?endpoint={}&region=us-east-1", service.url);
        let files = Files::open(&FilesConfig::S3(url)).unwrap();
        conformance(&files).await;
        conformance_of_pieces(&files).await;
        conformance_of_many(&files).await;
    }
}

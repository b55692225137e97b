//! `tuf publish`, `tuf remove`: targets in and out.

use std::path::{Path, PathBuf};

use countersign_model::HashAlg;
use futures_util::StreamExt as _;
use futures_util::TryStreamExt as _;
use http::Method;
use serde_json::{Value, json};

use super::service::{BASE, Done, Service, good, task_id};
use crate::api::{Request, escape};
use crate::args::{PublishTargets, RemoveTargets};
use crate::context::Context;
use crate::failure::{Failure, OrUnknown as _, Outcome};
use crate::files;
use crate::output::safe;

/// The most artifacts in one request.
const AT_ONCE: usize = 10_000;

/// How many files are uploaded at once.
const UPLOADS: usize = 4;

/// A file and the path that it gets.
struct Target {
    file: PathBuf,
    path: String,
    length: u64,
    sha256: String,
}

/// Publishes files.
pub async fn run(context: &Context, options: &PublishTargets) -> Result<Outcome, Failure> {
    let service = Service::of(context).await?;
    if options.staged {
        let done = service.run(Method::POST, "artifacts/publish/", &json!({})).await?;
        return staged(context, &done);
    }
    let custom = options.custom.as_deref().map(read_custom).transpose()?;
    let targets = tokio::task::block_in_place(|| targets(options))?;
    let upload = !options.no_upload;
    let results = if upload {
        upload_all(&service, &targets).await?
    } else {
        register(&service, &targets, custom.as_ref(), options.stage).await?
    };
    let outcome = Published::of(&targets, &results, options.stage);
    context.out.value(&outcome.document(upload), |_| outcome.text())?;
    Ok(if outcome.invalid.is_empty() { Outcome::Done } else { Outcome::No })
}

/// Removes targets.
pub async fn remove(context: &Context, options: &RemoveTargets) -> Result<Outcome, Failure> {
    let service = Service::of(context).await?;
    let (mut deleted, mut missing) = (Vec::new(), Vec::new());
    for paths in options.paths.chunks(AT_ONCE) {
        let body = json!({"artifacts": paths, "publish_artifacts": !options.stage});
        let done = service.run(Method::POST, "artifacts/delete", &body).await?;
        deleted.extend(texts(&done.details["deleted_artifacts"]));
        missing.extend(texts(&done.details["not_found_artifacts"]));
    }
    let document = json!({"removed": deleted, "not_found": missing, "staged": options.stage});
    context.out.value(&document, |_| {
        let mut lines: Vec<String> = deleted.iter().map(|path| format!("- {}", safe(path))).collect();
        lines.extend(missing.iter().map(|path| format!("? {}  there is no such target", safe(path))));
        let when = if options.stage { ", with the next publication" } else { "" };
        lines.push(format!("{} removed{when}, {} not found", deleted.len(), missing.len()));
        lines.join("\n")
    })?;
    Ok(if missing.is_empty() { Outcome::Done } else { Outcome::No })
}

fn staged(context: &Context, done: &Done) -> Result<Outcome, Failure> {
    context.out.value(&done.result, |_| {
        let roles = texts(&done.details["artifact_roles"]);
        if roles.is_empty() {
            return "nothing was kept back".to_owned();
        }
        let shown: Vec<String> = roles.iter().take(8).map(|role| safe(role)).collect();
        let more = if roles.len() > shown.len() {
            format!(" and {} more", roles.len() - shown.len())
        } else {
            String::new()
        };
        format!("published in {}{more}", shown.join(", "))
    })?;
    Ok(Outcome::Done)
}

fn read_custom(file: &Path) -> Result<Value, Failure> {
    let bytes = files::read_small(file)?;
    let value: Value = serde_json::from_slice(&bytes).or_unknown("the file of --custom is not JSON")?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(Failure::unknown("the file of --custom is not a JSON object"))
    }
}

/// The files with their paths, hashed.
fn targets(options: &PublishTargets) -> Result<Vec<Target>, Failure> {
    let prefix = options.path_prefix.as_deref().unwrap_or_default().trim_matches('/');
    let under = |path: &str| if prefix.is_empty() { path.to_owned() } else { format!("{prefix}/{path}") };
    let mut found = Vec::new();
    for file in &options.files {
        let name = file.file_name().and_then(|name| name.to_str());
        let name =
            name.ok_or_else(|| Failure::unknown(format!("`{}` has no name that is text", file.display())))?;
        found.push((file.clone(), under(name)));
    }
    if let Some(dir) = &options.dir {
        walk(dir, "", &mut found)?;
        found.iter_mut().for_each(|(_, path)| *path = under(path));
        found.sort_by(|a, b| a.1.cmp(&b.1));
    }
    let mut paths: Vec<&str> = found.iter().map(|(_, path)| path.as_str()).collect();
    paths.sort_unstable();
    if let Some(twice) = paths.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Failure::unknown(format!("two files would have the path `{}`", twice[0]))
            .hint("publish them one after the other with different `--path-prefix`"));
    }
    if found.is_empty() {
        return Err(Failure::unknown("there are no files to publish"));
    }
    found
        .into_iter()
        .map(|(file, path)| {
            let (digest, length) = files::measure(&file, HashAlg::Sha256)?;
            Ok(Target { file, path, length, sha256: hex::encode(digest.as_bytes()) })
        })
        .collect()
}

fn walk(directory: &Path, under: &str, found: &mut Vec<(PathBuf, String)>) -> Result<(), Failure> {
    let failed = |error| Failure::file("read", directory, &error);
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().into_string();
        let name = name.map_err(|_| {
            Failure::unknown(format!("`{}` has a name that is not text", entry.path().display()))
        })?;
        let path = format!("{under}{name}");
        let kind = std::fs::metadata(entry.path()).map_err(failed)?;
        // A link to a directory could lead round in a circle.
        if kind.is_dir() && !entry.file_type().map_err(failed)?.is_symlink() {
            walk(&entry.path(), &format!("{path}/"), found)?;
        } else if kind.is_file() {
            found.push((entry.path(), path));
        }
    }
    Ok(())
}

/// Registers lengths and hashes, many at once.
async fn register(
    service: &Service,
    targets: &[Target],
    custom: Option<&Value>,
    stage: bool,
) -> Result<Vec<Done>, Failure> {
    let mut results = Vec::new();
    for some in targets.chunks(AT_ONCE) {
        let artifacts: Vec<Value> = some
            .iter()
            .map(|target| {
                let mut info = json!({"length": target.length, "hashes": {"sha256": target.sha256}});
                if let Some(custom) = custom {
                    info["custom"] = custom.clone();
                }
                json!({"path": target.path, "info": info})
            })
            .collect();
        let body = json!({"artifacts": artifacts, "publish_artifacts": !stage});
        results.push(service.run(Method::POST, "artifacts/", &body).await?);
    }
    Ok(results)
}

/// Uploads files, several at once; the server registers each when it has it whole.
async fn upload_all(service: &Service, targets: &[Target]) -> Result<Vec<Done>, Failure> {
    let uploads = targets.iter().map(|target| upload(service, target));
    let tasks: Vec<String> = futures_util::stream::iter(uploads).buffered(UPLOADS).try_collect().await?;
    let mut results = Vec::new();
    for task in tasks {
        results.push(service.wait(&task).await?);
    }
    Ok(results)
}

/// Uploads one file, and waits until it is public as the target `path`.
///
/// # Errors
/// What the server said.
pub async fn put(service: &Service, file: &Path, path: &str) -> Result<Done, Failure> {
    let (digest, length) = files::measure(file, HashAlg::Sha256)?;
    let sha256 = hex::encode(digest.as_bytes());
    let target = Target { file: file.to_owned(), path: path.to_owned(), length, sha256 };
    service.wait(&upload(service, &target).await?).await
}

async fn upload(service: &Service, target: &Target) -> Result<String, Failure> {
    let path: Vec<String> = target.path.split('/').map(escape).collect();
    let about = format!("sha256={}&length={}", target.sha256, target.length);
    let request = Request::new(Method::PUT, &format!("{BASE}/targets/{}?{about}", path.join("/")));
    let answer = service.api.upload_any(request, &target.file).await?;
    let status = answer.status;
    let data = good(answer).map_err(|failure| match status.as_u16() {
        404 if failure.message.contains("host_targets") => {
            failure.hint("`--no-upload` only registers the files")
        }
        _ => failure,
    })?;
    task_id(&data.json::<Value>()?["data"])
}

/// What became of the files.
struct Published {
    added: Vec<(String, u64)>,
    invalid: Vec<String>,
    roles: Vec<String>,
    staged: bool,
}

impl Published {
    fn of(targets: &[Target], results: &[Done], staged: bool) -> Self {
        let all = |name: &str| results.iter().flat_map(|done| texts(&done.details[name])).collect::<Vec<_>>();
        let invalid = all("invalid_paths");
        let mut roles = all("artifact_roles");
        roles.sort();
        roles.dedup();
        let added = targets.iter().filter(|target| !invalid.contains(&target.path));
        Self { added: added.map(|t| (t.path.clone(), t.length)).collect(), invalid, roles, staged }
    }

    fn document(&self, uploaded: bool) -> Value {
        let added = self.added.iter().map(|(path, length)| json!({"path": path, "length": length}));
        json!({
            "added": added.collect::<Vec<_>>(), "invalid_paths": self.invalid, "roles": self.roles,
            "staged": self.staged, "uploaded": uploaded,
        })
    }

    fn text(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        if self.added.len() <= 20 {
            lines.extend(self.added.iter().map(|(path, length)| format!("+ {}  {length} bytes", safe(path))));
        }
        lines.extend(
            self.invalid.iter().map(|path| format!("! {}  no role is trusted with this path", safe(path))),
        );
        let what = if self.staged { "kept back for the next publication" } else { "published" };
        lines.push(format!("{} {what}, {} refused", self.added.len(), self.invalid.len()));
        lines.join("\n")
    }
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(dir: Option<&Path>, files: &[&Path], prefix: Option<&str>) -> PublishTargets {
        PublishTargets {
            files: files.iter().map(|file| file.to_path_buf()).collect(),
            dir: dir.map(Path::to_owned),
            path_prefix: prefix.map(str::to_owned),
            no_upload: true,
            stage: false,
            staged: false,
            custom: None,
        }
    }

    #[test]
    fn files_of_a_directory_keep_their_paths_in_it() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join("a/b")).unwrap();
        std::fs::write(directory.path().join("a/b/c"), "x").unwrap();
        std::fs::write(directory.path().join("d"), "").unwrap();
        let found = targets(&options(Some(directory.path()), &[], Some("/p/"))).unwrap();
        let paths: Vec<_> = found.iter().map(|target| (target.path.as_str(), target.length)).collect();
        assert_eq!(paths, [("p/a/b/c", 1), ("p/d", 0)]);
        let twice = [directory.path().join("d"), directory.path().join("d")];
        assert!(targets(&options(None, &[&twice[0], &twice[1]], None)).is_err());
        assert!(targets(&options(Some(&directory.path().join("none")), &[], None)).is_err());
    }
}

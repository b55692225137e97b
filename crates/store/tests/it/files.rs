use bytes::Bytes;
use countersign_store::{FileName, Files, FilesConfig, FilesError};

pub fn name(text: &str) -> FileName {
    text.parse().unwrap()
}

/// What holds for every place of files.
pub async fn conformance(files: &Files) {
    let (a, b) = (name("1.root.json"), name("tile/0/x001/234.p/8"));
    assert_eq!(files.get(&a).await.unwrap(), None);
    assert!(!files.exists(&a).await.unwrap());
    files.delete(&a).await.unwrap();

    // What is new never changes; the same content again is success.
    files.put_new(&a, Bytes::from_static(b"one")).await.unwrap();
    files.put_new(&a, Bytes::from_static(b"one")).await.unwrap();
    let other = files.put_new(&a, Bytes::from_static(b"two")).await;
    assert!(matches!(other, Err(FilesError::Differs { name }) if name == a));
    assert_eq!(files.get(&a).await.unwrap().unwrap(), "one");

    // What is mutable is replaced, also by nothing and by much.
    let large = Bytes::from(vec![7; 3 << 20]);
    for content in [Bytes::from_static(b"x"), Bytes::new(), large] {
        files.put(&b, content.clone()).await.unwrap();
        assert_eq!(files.get(&b).await.unwrap(), Some(content));
    }
    assert!(files.exists(&b).await.unwrap());

    // Listing goes by whole segments.
    files.put(&name("tile/0/000"), Bytes::new()).await.unwrap();
    files.put(&name("tiles/0"), Bytes::new()).await.unwrap();
    files.put(&name("a+b/c@d_e-F.txt"), Bytes::new()).await.unwrap();
    let under = files.list(Some(&name("tile"))).await.unwrap();
    assert_eq!(under, [name("tile/0/000"), b.clone()]);
    assert_eq!(files.list(None).await.unwrap().len(), 5);
    assert!(files.list(Some(&name("nothing"))).await.unwrap().is_empty());

    files.delete(&b).await.unwrap();
    assert_eq!(files.get(&b).await.unwrap(), None);

    // Of parallel creations with different content exactly one succeeds.
    let attempts: Vec<_> = (0..8u8)
        .map(|n| {
            let files = files.clone();
            tokio::spawn(async move { files.put_new(&name("race"), vec![n; 100].into()).await })
        })
        .collect();
    let mut won = 0;
    for attempt in attempts {
        match attempt.await.unwrap() {
            Ok(()) => won += 1,
            Err(error) => assert!(matches!(error, FilesError::Differs { .. }), "{error}"),
        }
    }
    assert_eq!(won, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_holds_published_files() {
    let dir = tempfile::tempdir().unwrap();
    let config = FilesConfig::Directory(dir.path().join("files"));
    conformance(&Files::open(&config).unwrap()).await;
    // They are plain files: a web server can serve them.
    assert_eq!(std::fs::read(dir.path().join("files/1.root.json")).unwrap(), b"one");
}

#[tokio::test]
async fn what_somebody_else_put_in_the_directory_is_not_listed() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::open(&FilesConfig::Directory(dir.path().into())).unwrap();
    files.put(&name("a"), Bytes::new()).await.unwrap();
    std::fs::write(dir.path().join(".hidden"), b"").unwrap();
    std::fs::write(dir.path().join("with space"), b"").unwrap();
    assert_eq!(files.list(None).await.unwrap(), [name("a")]);
}

#[test]
fn a_place_that_cannot_work_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let config = FilesConfig::Directory(file.join("below"));
    assert!(matches!(Files::open(&config), Err(FilesError::Configuration { .. })));
    let config = FilesConfig::S3("https://bucket".into());
    assert!(matches!(Files::open(&config), Err(FilesError::Configuration { .. })));
}

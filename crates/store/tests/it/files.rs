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

/// What holds for many files that are written at once, on every place.
pub async fn conformance_of_many(files: &Files) {
    let many = |count: usize| -> Vec<(FileName, Bytes)> {
        (0..count).map(|n| (name(&format!("many/{}/{n}.bin", n % 3)), Bytes::from(bytes(n * 10)))).collect()
    };
    files.put_all_new(Vec::new()).await.unwrap();
    // What was written before, by anybody, is success if it is the same.
    files.put_new(&name("many/1/40.bin"), Bytes::from(bytes(400))).await.unwrap();
    for count in [1, 100, 250] {
        files.put_all_new(many(count)).await.unwrap();
        let mut names: Vec<_> = many(count).into_iter().map(|(name, _)| name).collect();
        names.extend((count < 41).then(|| name("many/1/40.bin")));
        names.sort();
        assert_eq!(files.list(Some(&name("many"))).await.unwrap(), names);
    }
    for (name, content) in many(250) {
        assert_eq!(files.get(&name).await.unwrap(), Some(content));
    }

    // With other content, as long as it was or longer, it is not, and what was there stays.
    for other in [bytes(401), [&[1], &bytes(400)[1..]].concat(), vec![]] {
        let mut some = many(60);
        some[40].1 = other.into();
        let refused = files.put_all_new(some).await;
        assert!(
            matches!(refused, Err(FilesError::Differs { name: which }) if which == name("many/1/40.bin"))
        );
    }
    assert_eq!(files.get(&name("many/1/40.bin")).await.unwrap().unwrap(), bytes(400));

    // Two at once write the same.
    let again = |count| {
        let files = files.clone();
        let some = many(count).into_iter().map(|(file, content)| (name(&format!("again/{file}")), content));
        let some: Vec<_> = some.collect();
        tokio::spawn(async move { files.put_all_new(some).await })
    };
    let (one, other) = (again(90), again(80));
    one.await.unwrap().unwrap();
    other.await.unwrap().unwrap();
    assert_eq!(files.list(Some(&name("again"))).await.unwrap().len(), 90);
}

/// What holds for files that are written piece by piece, on every place.
pub async fn conformance_of_pieces(files: &Files) {
    // Of less than a part, of parts to the byte, and of more.
    for (number, size) in [0, 10, 5 << 20, (10 << 20) + 1].into_iter().enumerate() {
        let content = bytes(size);
        let file = name(&format!("pieces/{number}"));
        // The same content again is success, in whatever pieces.
        for piece in [1 << 20, 20 << 20] {
            assert!(write(files, &file, &content, piece).await.is_ok(), "{size} by {piece}");
            assert_eq!(files.get(&file).await.unwrap().unwrap(), content);
        }
        let mut other = content.clone();
        other.push(1);
        let mut changed = content.clone();
        if let Some(last) = changed.last_mut() {
            *last ^= 1;
        }
        for different in [&other[..], &changed, &content[..size / 2]].into_iter().filter(|d| *d != content) {
            let written = write(files, &file, different, 1 << 20).await;
            assert!(matches!(written, Err(FilesError::Differs { name }) if name == file), "{size}");
        }
        assert_eq!(files.get(&file).await.unwrap().unwrap(), content);
    }

    // Nobody sees what is not finished, and nothing stays of what is given up.
    let unfinished = name("unfinished");
    for _ in 0..2 {
        let mut file = files.create(&unfinished).unwrap();
        file.write(&bytes(6 << 20)).await.unwrap();
        assert_eq!(files.get(&unfinished).await.unwrap(), None);
        file.give_up().await;
        assert!(!files.exists(&unfinished).await.unwrap());
    }
    assert!(!files.list(None).await.unwrap().contains(&unfinished));

    // What was written meanwhile is not replaced.
    let mut file = files.create(&unfinished).unwrap();
    file.write(&bytes(6 << 20)).await.unwrap();
    files.put_new(&unfinished, Bytes::from_static(b"first")).await.unwrap();
    assert!(file.finish().await.unwrap_err().is_retryable());
    assert_eq!(files.get(&unfinished).await.unwrap().unwrap(), "first");

    // What is mutable is replaced, at the end.
    let newest = name("newest");
    for size in [6 << 20, 3, 0, (5 << 20) + 1] {
        let before = files.get(&newest).await.unwrap();
        let mut file = files.replace(&newest).unwrap();
        file.write(&bytes(size)).await.unwrap();
        assert_eq!(files.get(&newest).await.unwrap(), before);
        file.finish().await.unwrap();
        assert_eq!(files.get(&newest).await.unwrap().unwrap(), bytes(size));
    }
}

/// Bytes that are not the same again after 256 of them.
fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect()
}

async fn write(files: &Files, name: &FileName, content: &[u8], piece: usize) -> Result<(), FilesError> {
    let mut file = files.create(name)?;
    for piece in content.chunks(piece) {
        if let Err(error) = file.write(piece).await {
            file.give_up().await;
            return Err(error);
        }
    }
    file.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_holds_files_that_are_written_piece_by_piece() {
    let dir = tempfile::tempdir().unwrap();
    conformance_of_pieces(&Files::open(&FilesConfig::Directory(dir.path().into())).unwrap()).await;
    // Nothing of what was given up.
    let names = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!names.into_iter().any(|name| name.to_string_lossy().contains('#')));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_holds_files_that_are_written_many_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("files");
    conformance_of_many(&Files::open(&FilesConfig::Directory(place.clone())).unwrap()).await;
    let mut dirs = vec![place.clone()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap()) {
            assert!(!entry.file_name().to_string_lossy().contains('#'));
            dirs.extend(entry.file_type().unwrap().is_dir().then(|| entry.path()));
        }
    }

    // What a process that was killed has left is in nobody's way, and something that is no directory is told.
    let files = Files::open(&FilesConfig::Directory(place.clone())).unwrap();
    std::fs::write(place.join("left#1"), b"half").unwrap();
    let put = async |text| files.put_all_new(vec![(name(text), Bytes::from_static(b"whole"))]).await;
    put("left").await.unwrap();
    assert_eq!(files.get(&name("left")).await.unwrap().unwrap(), "whole");
    assert!(matches!(put("left/below").await, Err(FilesError::Configuration { .. })));
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

//! Small files of much.

use crate::write::{npy_of, put, tar};
use crate::{scan_bytes, scan_path, scan_within, unreadable};
use denan_data::Options;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fmt::Write as _;
use std::io::Write;
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

/// Compressed, `count` times the same.
fn gzip_of(start: &[u8], part: &[u8], count: usize) -> Vec<u8> {
    let mut to = GzEncoder::new(Vec::new(), Compression::fast());
    to.write_all(start).unwrap();
    (0..count).for_each(|_| to.write_all(part).unwrap());
    to.finish().unwrap()
}

fn zstd_of(start: &[u8], part: &[u8], count: usize) -> Vec<u8> {
    let mut to = zstd::Encoder::new(Vec::new(), 1).unwrap();
    to.write_all(start).unwrap();
    (0..count).for_each(|_| to.write_all(part).unwrap());
    to.finish().unwrap()
}

#[test]
fn a_record_without_an_end_is_an_error() {
    let zeros = vec![b'0'; 1 << 20];
    let items = b"0,".repeat(1 << 19);
    for (name, bytes) in [
        ("t.csv.gz", gzip_of(b"x\n", &zeros, 200)),
        ("t.csv.zst", zstd_of(b"x\n", &zeros, 200)),
        ("t.csv.gz", gzip_of(b"x,y\n1,\"", &zeros, 150)),
        ("t.tsv.gz", gzip_of(b"", &zeros, 150)),
        ("t.jsonl.zst", zstd_of(b"[", &items, 150)),
        ("t.jsonl.zst", zstd_of(b"{\"x\": 1}\n{\"x\": \"", &zeros, 200)),
    ] {
        assert!(bytes.len() < 3 << 20);
        let message = unreadable(name, &bytes);
        assert!(message.starts_with("a record has more than 64 MiB"), "{message}");
    }
}

#[test]
fn a_long_stream_of_numbers_is_not_held() {
    let mut line = vec![b'0'; 8192];
    *line.last_mut().unwrap() = b'\n';
    let lines = line.repeat(128);
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in
        [("t.csv.gz", gzip_of(b"x\n", &lines, 50)), ("t.csv.zst", zstd_of(b"x\n", &lines, 50))]
    {
        put(folder.path(), name, &bytes);
        let result = scan_within(&folder.path().join(name), &Options::default(), 32 << 20).unwrap();
        assert_eq!((result.samples, result.columns[0].zeros), (6400, 6400), "{name}");
    }
}

#[test]
fn an_archive_of_much_is_not_held() {
    let header = npy_of("<f8", false, &[8 << 20], &[]);
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let deflated = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    archive.start_file("x.npy", deflated).unwrap();
    archive.write_all(&header).unwrap();
    let zeros = vec![0; 1 << 20];
    (0..8 * 8).for_each(|_| archive.write_all(&zeros).unwrap());
    let bytes = archive.finish().unwrap().into_inner();
    assert!(bytes.len() < 1 << 20);
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "x.npz", &bytes);
    let result = scan_within(&folder.path().join("x.npz"), &Options::default(), 16 << 20).unwrap();
    assert_eq!(result.columns[0].zeros, 8 << 20);
}

/// A header of a tar file with this type and size, whatever follows.
fn tar_header(name: &str, kind: tar::EntryType, size: u64) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path(name).unwrap();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_cksum();
    header.as_bytes().to_vec()
}

#[test]
fn members_of_a_tar_file_that_are_bombs_are_errors() {
    let zeros = vec![0; 1 << 20];
    let file = tar::EntryType::Regular;
    let large = [
        ("0.png", file),
        ("0.npy", file),
        // Names that are said to be that long.
        ("0.long", tar::EntryType::GNULongName),
        ("0.pax", tar::EntryType::XHeader),
    ];
    for (name, kind) in large {
        let header = tar_header(name, kind, 300 << 20);
        let bytes = gzip_of(&header, &zeros, 300);
        assert!(bytes.len() < 3 << 20);
        unreadable("t.tar.gz", &bytes);
    }
}

#[test]
fn many_members_of_a_tar_file_take_little() {
    let mut many = tar_header("0.npy", tar::EntryType::Regular, 0);
    // Of one sample, and of a sample each.
    let bytes = gzip_of(b"", &many, 50_000);
    let result = scan_bytes("t.tar.gz", &bytes);
    assert!(result.findings.len() < 10_000, "{} findings", result.findings.len());
    many = (0..20_000)
        .flat_map(|number| tar_header(&format!("{number}.npy"), tar::EntryType::Regular, 0))
        .collect();
    let result = scan_bytes("t.tar.gz", &gzip_of(b"", &many, 5));
    assert!(result.findings.len() < 10_000, "{} findings", result.findings.len());
    // Of kinds that none else has.
    let many: Vec<u8> = (0..50_000)
        .flat_map(|number| tar_header(&format!("{number}.kind{number}"), tar::EntryType::Regular, 0))
        .collect();
    let result = scan_bytes("t.tar.gz", &gzip_of(b"", &many, 1));
    assert!(result.findings.len() < 10_000, "{} findings", result.findings.len());
}

#[test]
fn names_in_a_tar_file_lead_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join("passwd.npy");
    let mut bytes = Vec::new();
    for name in ["../../etc/passwd.npy", "../passwd.npy", "x/../../passwd.npy"] {
        let mut header = tar::Header::new_gnu();
        // The library does not write such names.
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(4);
        header.set_cksum();
        bytes.extend(header.as_bytes());
        bytes.extend(b"oh!\n");
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    put(folder.path(), "set/t.tar", &bytes);
    let result = scan_path(&folder.path().join("set/t.tar"), &Options::default()).unwrap();
    assert!(result.findings.iter().any(|found| found.message.contains("../../etc/passwd.npy")));
    assert!(!marker.exists());
    let names: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["set"]);
}

#[test]
fn sizes_of_tar_members_that_lie_are_errors() {
    let file = tar::EntryType::Regular;
    for size in [1 << 20, 1 << 31, (1 << 33) - 1] {
        let bytes = [tar_header("0.npy", file, size), npy_of("<f4", false, &[1], &[0; 4])].concat();
        unreadable("t.tar", &bytes);
    }
    // A negative size, and one of 2^63.
    for first in [0xff, 0x80] {
        let mut bytes = tar(&[("0.npy".to_owned(), npy_of("<f4", false, &[1], &[0; 4]))]);
        bytes[124..136]
            .copy_from_slice(&[first, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf0]);
        let sum: u32 = bytes[..512]
            .iter()
            .enumerate()
            .map(|(at, byte)| match at {
                148..156 => 32,
                _ => u32::from(*byte),
            })
            .sum();
        bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        unreadable("t.tar", &bytes);
    }
}

#[test]
fn lines_of_very_many_columns_are_errors_or_read() {
    let wide = "1,".repeat(1_000_000);
    assert!(unreadable("t.csv", wide.as_bytes()).contains("1000001 fields"));
    let mut named = String::new();
    (0..1_000_000).for_each(|number| write!(named, "c{number}\t").unwrap());
    unreadable("t.tsv", named.as_bytes());
    let keys: Vec<String> = (0..100_000).map(|number| format!("\"k{number}\": {number}")).collect();
    let result = scan_bytes("t.jsonl", format!("{{{}}}\n", keys.join(", ")).as_bytes());
    assert_eq!(result.columns.len(), 1 << 14);
}

#[test]
fn short_rows_of_many_columns_take_little_time() {
    let names: Vec<String> = (0..60_000).map(|number| format!("c{number}")).collect();
    let bytes = [names.join(",").into_bytes(), b"\n".to_vec(), b"1\n".repeat(200_000)].concat();
    unreadable("t.csv", &bytes);
    let keys: Vec<String> = (0..16_000).map(|number| format!("\"k{number}\": {number}")).collect();
    let bytes = [format!("{{{}}}\n", keys.join(", ")).into_bytes(), b"{}\n".repeat(200_000)].concat();
    scan_bytes("t.jsonl", &bytes);
}

#[test]
fn deep_values_are_errors() {
    for part in ["[", "{\"a\":", "[{\"a\":["] {
        let deep = part.repeat(100_000) + "\n";
        unreadable("t.jsonl", deep.as_bytes());
    }
    // A number that is long, and names.
    let long = format!("{{\"x\": 1{}}}\n", "0".repeat(1 << 20));
    scan_bytes("t.jsonl", long.as_bytes());
}

#[test]
fn entities_within_entities_are_not_expanded() {
    let mut laughs = "<!DOCTYPE lolz [<!ENTITY a0 \"lol\">".to_owned();
    for number in 1..40 {
        let inner = format!("&a{};", number - 1).repeat(10);
        write!(laughs, "<!ENTITY a{number} \"{inner}\">").unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let object = "<object><name>&a39;</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>";
    let text = format!("{laughs}]><annotation><filename>a.jpg</filename>{object}</annotation>");
    put(folder.path(), "Annotations/a.xml", text.as_bytes());
    match scan_path(folder.path(), &Options::default()) {
        Ok(result) => {
            assert!(result.findings.iter().any(|found| found.rule == "unreadable-label"));
            assert!(result.classes.iter().all(|class| class.class.len() < 1000));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let deep = format!("<annotation>{}", "<object>".repeat(1_000_000));
    put(folder.path(), "Annotations/a.xml", deep.as_bytes());
    let _ = scan_path(folder.path(), &Options::default());
    let deep = format!("{{\"images\": {}", "[".repeat(1_000_000));
    put(folder.path(), "Annotations/a.json", deep.as_bytes());
    let _ = scan_path(folder.path(), &Options::default());
}

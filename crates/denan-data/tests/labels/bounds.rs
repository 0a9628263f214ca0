//! No bytes make the reader panic.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

/// Pieces of which label files are made, so that chance reaches beyond the first byte.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&[u8]> = vec![
        b"<annotation>",
        b"</annotation>",
        b"<object>",
        b"</object>",
        b"<bndbox>",
        b"</bndbox>",
        b"<xmin>",
        b"</xmin>",
        b"<size>",
        b"<width>",
        b"</width>",
        b"</size>",
        b"<!DOCTYPE a [",
        b"]>",
        b"&a;",
        b"&#0;",
        b"&#x110000;",
        b"<![CDATA[",
        b"]]>",
        b"<!--",
        b"-->",
        b"<?",
        b"?>",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\"images\":[",
        b"\"annotations\":[",
        b"\"categories\":[",
        b"\"id\":",
        b"\"bbox\":",
        b"\"image_id\":",
        b"NaN",
        b"-Infinity",
        b"-",
        b"\"",
        b"\\",
        b"\\ud800",
        b"1e999",
        b"18446744073709551616",
        b"0 ",
        b".5 ",
        b"nan ",
        b"\n",
        b"\r\n",
        b" ",
        b"names:",
        b"- a\n",
        b"  0: a\n",
        b"&x ",
        b"*x",
        b"!!map",
        b"%YAML 9",
        b"---",
        b"? ",
        b"|",
        b"\t",
        b"\xef\xbb\xbf",
        b"\xff",
        b"\xff\xfe",
        b"\x89PNG",
        b"BM",
        b"\xff\xd8\xff\xe0",
        b"RIFF\0\0\0\0WEBPVP8 ",
    ];
    prop_oneof![
        8 => proptest::sample::select(pieces).prop_map(<[u8]>::to_vec),
        1 => vec(any::<u8>(), 0..12),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(pieces in vec(piece(), 0..40)) {
        let bytes = pieces.concat();
        let broken = folder(&[("a.xml", &bytes), ("a.json", &bytes), ("a.txt", &bytes)]);
        for name in ["a.xml", "a.json", "a.txt"] {
            let _ = labels::read(&[at(&broken, name)]);
        }
        let beside = folder(&[("a.txt", b"0 .5 .5 .5 .5"), ("data.yaml", &bytes), ("a.png", &bytes)]);
        let set = read(beside.path());
        prop_assert_eq!(set.images.len(), 1);
    }

    #[test]
    fn corners_of_voc_come_back_bit_by_bit(corners in any::<[f64; 4]>()) {
        let sides = corners.map(|side| side.to_string());
        let xml = annotation(&object("a", [&sides[0], &sides[1], &sides[2], &sides[3]]));
        let folder = folder(&[("a.xml", xml.as_bytes())]);
        let set = read(folder.path());
        for (read, written) in boxes(&set)[0].corners.iter().zip(corners) {
            prop_assert!(read.to_bits() == written.to_bits() || read.is_nan() && written.is_nan());
        }
    }
}

#[test]
fn hostile_files_take_no_long_time() {
    let begun = std::time::Instant::now();
    let entities = annotation(&object(&"&a;\n".repeat(500_000), ["1", "2", "3", "4"]));
    let objects = annotation(&"<object><bndbox></bndbox></object>".repeat(50_000));
    for xml in [entities, objects] {
        let folder = folder(&[("a.xml", xml.as_bytes())]);
        assert_eq!(read(folder.path()).images.len(), 1);
    }
    for piece in ["[", "{", "- ", "? ", "&a ", "- &a [*a, ", "a: ", "!!a ", "|", "\"", "'", "\n  ", "#", "\t"]
    {
        let yaml = format!("names: [a]\nb: {}", piece.repeat(100_000 / piece.len()));
        let folder = folder(&[("a.txt", b"0 .5 .5 .5 .5"), ("data.yaml", yaml.as_bytes())]);
        let before = begun.elapsed();
        assert_eq!(read(folder.path()).images.len(), 1);
        println!("{piece:?}: {:?}", begun.elapsed() - before);
    }
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
}

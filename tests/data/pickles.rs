//! Pickle caches of MiniImagenet in the shapes that Python's protocols 2 to 5 write, and pickles that ask for more.

use super::{Params, every_check_passes, params, plugin_in, refusal, splits};
use mamlx::spec::ParamValue;
use mamlx_images::pickle::ImageRows;
use std::path::Path;

/// Side of the images: small, but more than a byte string that fits in one length byte.
const SIDE: u64 = 8;
const IMAGES: u64 = 6;

fn pixels() -> Vec<u8> {
    (0..IMAGES * SIDE * SIDE * 3).map(|i| (i * 31 % 256) as u8).collect()
}

/// Opcodes of a pickle, written as `pickletools.dis` shows them.
struct Writer {
    out: Vec<u8>,
    protocol: u8,
}

impl Writer {
    fn new(protocol: u8) -> Writer {
        let mut out = vec![0x80, protocol];
        if protocol >= 4 {
            out.extend(b"\x95\0\0\0\0\0\0\0\0");
        }
        Writer { out, protocol }
    }

    fn op(&mut self, bytes: &[u8]) -> &mut Self {
        self.out.extend(bytes);
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        match self.protocol {
            4.. => self.op(&[0x8c, text.len() as u8]),
            _ => self.op(b"X").op(&(text.len() as u32).to_le_bytes()),
        };
        self.op(text.as_bytes())
    }

    fn global(&mut self, module: &str, name: &str) -> &mut Self {
        match self.protocol {
            4.. => self.text(module).text(name).op(&[0x93]),
            _ => self.op(format!("c{module}\n{name}\n").as_bytes()),
        }
    }

    fn int(&mut self, n: u64) -> &mut Self {
        match n {
            0..256 => self.op(&[b'K', n as u8]),
            256..65_536 => self.op(b"M").op(&(n as u16).to_le_bytes()),
            _ => self.op(b"J").op(&(n as u32).to_le_bytes()),
        }
    }

    /// A byte string as each protocol writes it.
    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        match self.protocol {
            2 => {
                // Python 3 spells bytes as latin-1 text that `_codecs.encode` turns back.
                let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
                self.global("_codecs", "encode").op(b"X").op(&(text.len() as u32).to_le_bytes());
                self.op(text.as_bytes()).text("latin1").op(b"\x86R")
            }
            3 => self.op(b"B").op(&(bytes.len() as u32).to_le_bytes()).op(bytes),
            _ => self.op(b"\x8e").op(&(bytes.len() as u64).to_le_bytes()).op(bytes),
        }
    }

    fn dtype(&mut self, code: &str, order: &str) -> &mut Self {
        self.global("numpy", "dtype").text(code).op(b"\x89\x88\x87R");
        // __setstate__ of (3, order, None, None, None, -1, -1, 0)
        self.op(b"(K\x03").text(order).op(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb")
    }

    fn shape(&mut self, shape: &[u64]) -> &mut Self {
        self.op(b"(");
        shape.iter().for_each(|n| {
            self.int(*n);
        });
        self.op(b"t")
    }

    /// A uint8 array; from protocol 5 on NumPy goes through `_frombuffer`.
    fn array(&mut self, shape: &[u64], bytes: &[u8]) -> &mut Self {
        if self.protocol == 5 {
            self.global("numpy._core.numeric", "_frombuffer").op(b"(");
            self.op(b"\x96").op(&(bytes.len() as u64).to_le_bytes()).op(bytes);
            return self.dtype("u1", "|").shape(shape).text("C").op(b"tR");
        }
        self.global("numpy.core.multiarray", "_reconstruct").global("numpy", "ndarray");
        self.op(b"K\x00\x85").bytes(b"b").op(b"\x87R");
        self.op(b"(K\x01").shape(shape).dtype("u1", "|").op(b"\x89").bytes(bytes).op(b"tb")
    }

    fn list(&mut self, items: &[u64]) -> &mut Self {
        self.op(b"](");
        items.iter().for_each(|n| {
            self.int(*n);
        });
        self.op(b"e")
    }

    fn end(&mut self) -> Vec<u8> {
        self.op(b".");
        std::mem::take(&mut self.out)
    }
}

const SHAPE: [u64; 4] = [IMAGES, SIDE, SIDE, 3];

/// `{"image_data": …, "class_dict": {a: [0, 2, 4], b: [5, 1, 3]}}`, memoised as Python does.
fn cache(protocol: u8, names: [&str; 2]) -> Vec<u8> {
    let memo: &[u8] = if protocol >= 4 { b"\x94" } else { b"q\x07" };
    let mut w = Writer::new(protocol);
    w.op(b"}").op(memo).op(b"(").text("image_data").array(&SHAPE, &pixels());
    w.text("class_dict").op(b"}(").text(names[0]).list(&[0, 2, 4]).text(names[1]).list(&[5, 1, 3]);
    w.op(b"uu").end()
}

fn opened(bytes: &[u8]) -> Result<ImageRows, String> {
    opened_in(tempfile::tempdir().unwrap().path(), bytes)
}

fn opened_in(folder: &Path, bytes: &[u8]) -> Result<ImageRows, String> {
    let path = folder.join("cache.pkl");
    std::fs::write(&path, bytes).unwrap();
    ImageRows::open(&path)
}

#[test]
fn every_protocol_gives_the_same_images_and_classes() {
    let image = (SIDE * SIDE * 3) as usize;
    for protocol in 2..=5 {
        let mut rows = opened(&cache(protocol, ["b", "a"])).unwrap_or_else(|e| panic!("{protocol}: {e}"));
        assert_eq!(rows.shape, [8, 8, 3]);
        assert_eq!(rows.classes, [("a".into(), vec![5, 1, 3]), ("b".into(), vec![0, 2, 4])]);
        let mut out = vec![0; image];
        for row in 0..IMAGES {
            rows.read(row, &mut out).unwrap();
            assert_eq!(out, pixels()[row as usize * image..][..image], "protocol {protocol}, row {row}");
        }
    }
}

/// Arrays of real caches are megabytes: they stay in the file, and Python 3's latin-1 spelling is undone.
#[test]
fn large_arrays_are_read_from_where_they_are() {
    let shape = [60, 84, 84, 3];
    let bytes: Vec<u8> =
        (0..60 * 84 * 84 * 3u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for protocol in 2..=5 {
        let mut w = Writer::new(protocol);
        w.op(b"}(").text("image_data").array(&shape, &bytes);
        let mut rows = opened(&w.text("class_dict").op(b"}(").text("x").list(&[59]).op(b"uu").end()).unwrap();
        let mut out = vec![0; 84 * 84 * 3];
        rows.read(59, &mut out).unwrap();
        assert_eq!(out, bytes[59 * 84 * 84 * 3..], "protocol {protocol}");
    }
}

/// Python 2 wrote its byte strings, names included, with BINSTRING.
#[test]
fn python_2_and_the_labelled_layout_are_read_too() {
    let mut w = Writer::new(2);
    let short = |w: &mut Writer, text: &[u8]| {
        w.op(&[b'U', text.len() as u8]).op(text);
    };
    w.op(b"}(");
    short(&mut w, b"data");
    w.global("numpy.core.multiarray", "_reconstruct").global("numpy", "ndarray").op(b"K\x00\x85");
    short(&mut w, b"b");
    w.op(b"\x87R(K\x01").shape(&SHAPE).global("numpy", "dtype");
    short(&mut w, b"u1");
    w.op(b"K\x00K\x01\x87R(K\x03");
    short(&mut w, b"|");
    w.op(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T").op(&(pixels().len() as u32).to_le_bytes());
    w.op(&pixels()).op(b"tb");
    short(&mut w, b"labels");
    w.list(&[64, 65, 64, 65, 64, 65]);
    short(&mut w, b"catname2label");
    w.op(b"}(");
    short(&mut w, b"n02");
    w.int(64);
    short(&mut w, b"n01");
    let rows = opened(&w.int(65).op(b"uu").end()).unwrap();
    assert_eq!(rows.classes, [("n01".into(), vec![1, 3, 5]), ("n02".into(), vec![0, 2, 4])]);
}

#[test]
fn a_pickle_that_asks_for_more_than_data_is_refused_by_name() {
    for protocol in 2..=5 {
        let mut w = Writer::new(protocol);
        let why = opened(&w.global("os", "system").text("true").op(b"\x85R").end()).err().unwrap();
        assert!(why.contains("`os.system`") && why.contains("nothing was executed"), "{why}");
    }
    let mut outside = Writer::new(5);
    let why = opened(&outside.op(b"\x97").end()).err().unwrap();
    assert!(why.contains("outside the file"), "{why}");
}

/// Cut anywhere or changed anywhere, a pickle is refused or read; it never panics and never takes long.
#[test]
fn broken_pickles_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for protocol in [2, 3, 5] {
        let whole = cache(protocol, ["a", "b"]);
        for keep in (0..whole.len()).step_by(13) {
            assert!(opened_in(folder.path(), &whole[..keep]).is_err(), "{keep} bytes");
        }
        for at in (0..whole.len()).step_by(7) {
            for change in [0xFF, 0x01] {
                let mut changed = whole.clone();
                changed[at] ^= change;
                if let Ok(mut rows) = opened_in(folder.path(), &changed) {
                    let length = rows.shape.iter().product();
                    let _ = rows.read(0, &mut vec![0; length]);
                }
            }
        }
    }
    // Tuples in tuples without end, and an array with a byte too few.
    let deep = [&[0x80, 2, b')'][..], &[0x85; 100_000]].concat();
    assert!(opened(&deep).err().unwrap().contains("tuples too deep"));
    let mut w = Writer::new(3);
    w.op(b"}(").text("image_data").array(&[IMAGES, SIDE, SIDE, 3], &pixels()[1..]);
    let why = opened(&w.text("class_dict").op(b"}(").text("x").list(&[0]).op(b"uu").end()).err().unwrap();
    assert!(why.contains("1151 bytes where their shape needs 1152"), "{why}");
    let why = opened(&cache(3, ["a", "a\u{7}"]).clone()).map(|rows| rows.classes.len());
    assert_eq!(why, Ok(2));
}

/// Small files that would take much: rows that many classes share, a text that claims to be gigabytes of pixels, a name
/// without end.
#[test]
fn a_pickle_takes_no_more_memory_than_it_has_bytes_for() {
    let classes = |w: &mut Writer| {
        w.op(b"}(").text("image_data").array(&SHAPE, &pixels()).text("class_dict").op(b"}(");
    };
    let mut shared = Writer::new(3);
    classes(&mut shared);
    shared.text("c0").array(&[1 << 20], &[0; 1 << 20]).op(b"q\x01");
    for class in 1..200 {
        shared.text(&format!("c{class}")).op(b"h\x01");
    }
    let why = opened(&shared.op(b"uu").end()).err().unwrap();
    assert!(why.contains("more than 4194304 rows together"), "{why}");

    let mut claimed = Writer::new(2);
    claimed.op(b"}(").text("image_data").array(&[21, 32_000, 32_000, 3], &[b'a'; 2 << 20]);
    claimed.text("class_dict").op(b"}(").text("x").list(&[0]);
    let why = opened(&claimed.op(b"uu").end()).err().unwrap();
    assert!(why.contains("2097152 bytes where their shape needs 64512000000"), "{why}");

    let mut endless = Writer::new(3);
    classes(&mut endless);
    let why = opened(&endless.text(&"x".repeat(2000)).list(&[0]).op(b"uu").end()).err().unwrap();
    assert!(why.contains("a name longer than 1024 bytes"), "{why}");
}

fn write_caches(folder: &Path) {
    let root = folder.join("miniimagenet");
    std::fs::create_dir_all(&root).unwrap();
    for (protocol, (split, names)) in
        (3..).zip([("train", ["n1", "n2"]), ("val", ["n3", "n4"]), ("test", ["n5", "n6"])])
    {
        std::fs::write(root.join(format!("mini-imagenet-cache-{split}.pkl")), cache(protocol, names))
            .unwrap();
    }
}

#[test]
fn the_plugin_reads_caches_and_says_when_their_size_is_another() {
    let folder = tempfile::tempdir().unwrap();
    write_caches(folder.path());
    let plugin = plugin_in("miniimagenet", folder.path());
    let why = refusal(&plugin, &Params::new());
    assert!(why.contains("[8, 8, 3]") && why.contains("set `size: 8`"), "{why}");
    let size = params(&[("size", ParamValue::Int(8))]);
    let mut data = plugin.data(&size).unwrap();
    assert_eq!(splits(&data), [("train".into(), 2), ("val".into(), 2), ("test".into(), 2)]);
    let mut out = vec![0.0; 192];
    data.read(1, 1, &[2], &mut out).unwrap();
    let expected: Vec<f32> = pixels()[3 * 192..4 * 192].iter().map(|p| f32::from(*p) / 255.0).collect();
    assert_eq!(out, expected);
    every_check_passes(&plugin, &size);
}

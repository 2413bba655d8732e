use proptest::prelude::*;

use super::*;

/// The tree over the one-byte leaves 0, 1, 2, ….
fn bytes_tree(size: u8) -> Frontier {
    let mut frontier = Frontier::new();
    for byte in 0..size {
        frontier.push(leaf_hash(&[byte])).unwrap();
    }
    frontier
}

/// The definition of RFC 6962 section 2.1, word for word.
fn by_definition(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        more => {
            let split = more.len().next_power_of_two() / 2;
            let (left, right) = more.split_at(split);
            node_hash(&by_definition(left), &by_definition(right))
        }
    }
}

#[test]
fn the_roots_of_the_eight_leaves_of_certificate_transparency_are_known() {
    let leaves: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut frontier = Frontier::new();
    assert_eq!(
        frontier.root().to_string(),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
    for (leaf, root) in leaves.into_iter().zip(roots) {
        frontier.push(leaf_hash(leaf)).unwrap();
        assert_eq!(frontier.root().to_string(), root);
    }
}

#[test]
fn the_bytes_of_a_frontier_of_three_leaves_are_these() {
    let leaf = leaf_hash(&[2]);
    let pair = node_hash(&leaf_hash(&[0]), &leaf_hash(&[1]));
    assert_eq!(
        HEXLOWER.encode(&bytes_tree(3).to_bytes()),
        format!("0000000000000003{pair}{leaf}")
    );
    assert_eq!(Frontier::new().to_bytes(), [0; 8]);
}

#[test]
fn each_push_reports_the_nodes_it_completes() {
    let mut frontier = bytes_tree(7);
    let completed = frontier.push(leaf_hash(&[7])).unwrap();
    let places: Vec<(u8, u64)> = completed.iter().map(|n| (n.level, n.index)).collect();
    assert_eq!(places, [(0, 7), (1, 3), (2, 1), (3, 0)]);
    assert_eq!(completed.last().map(|n| n.hash), Some(frontier.root()));
    let completed = frontier.push(leaf_hash(&[8])).unwrap();
    assert_eq!(completed.len(), 1);
}

#[test]
fn bytes_that_no_frontier_writes_are_refused() {
    let good = bytes_tree(5).to_bytes();
    assert_eq!(
        Frontier::from_bytes(&good[..7]),
        Err(TreeError::Truncated { found: 7 })
    );
    for bytes in [
        good[..good.len() - 1].to_vec(),
        good[..good.len() - 32].to_vec(),
        [good.as_slice(), &[0]].concat(),
        [good.as_slice(), &[0; 32]].concat(),
    ] {
        let found = bytes.len();
        let error = TreeError::Length {
            size: 5,
            expected: 72,
            found,
        };
        assert_eq!(Frontier::from_bytes(&bytes), Err(error));
    }
    let mut huge = (MAX_SIZE + 1).to_be_bytes().to_vec();
    huge.extend_from_slice(&[0; 32]);
    assert_eq!(
        Frontier::from_bytes(&huge),
        Err(TreeError::TooLarge { size: MAX_SIZE + 1 })
    );
}

#[test]
fn a_full_tree_refuses_and_stays_as_it_is() {
    let mut bytes = MAX_SIZE.to_be_bytes().to_vec();
    bytes.extend_from_slice(&[7; 63 * 32]);
    let mut full = Frontier::from_bytes(&bytes).unwrap();
    assert_eq!(full.push(leaf_hash(b"")), Err(TreeError::Full));
    assert_eq!(full.to_bytes(), bytes);
}

#[test]
fn another_base64_spelling_of_a_hash_is_refused() {
    let text = empty_root().to_base64();
    assert_eq!(Hash::from_base64(&text), Some(empty_root()));
    for other in [
        text.trim_end_matches('=').to_owned(),
        format!("{text}="),
        format!(" {text}"),
        // The last digit carries two bits beyond the 32 bytes; they must be zero.
        text.replace("FU=", "FV="),
        BASE64.encode(&[0; 31]),
        BASE64.encode(&[0; 33]),
        String::new(),
    ] {
        assert_ne!(other, text);
        assert_eq!(Hash::from_base64(&other), None, "{other}");
    }
}

proptest! {
    #[test]
    fn the_root_is_the_one_of_the_definition(leaves in prop::collection::vec(any::<[u8; 32]>(), 0..200)) {
        let leaves: Vec<Hash> = leaves.into_iter().map(Hash::from_bytes).collect();
        let mut frontier = Frontier::new();
        for leaf in &leaves {
            frontier.push(*leaf).unwrap();
        }
        prop_assert_eq!(frontier.root(), by_definition(&leaves));
        prop_assert_eq!(frontier.size(), u64::try_from(leaves.len()).unwrap());
    }

    #[test]
    fn a_frontier_read_back_grows_like_the_one_written(before in 0u8..120, after in 0u8..120) {
        let mut written = bytes_tree(before);
        let mut read = Frontier::from_bytes(&written.to_bytes()).unwrap();
        for byte in 0..after {
            prop_assert_eq!(written.push(leaf_hash(&[byte])), read.push(leaf_hash(&[byte])));
        }
        prop_assert_eq!(written, read);
    }

    #[test]
    fn reading_any_bytes_gives_an_error_or_the_same_bytes(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        if let Ok(frontier) = Frontier::from_bytes(&bytes) {
            prop_assert_eq!(frontier.to_bytes(), bytes);
        }
    }
}

//! What holds for every table that was read, and for the answer that tells of it.

use octonas::content::Contents;

/// Fails where the answer about `size` bytes is no bounded table, or cannot be read back.
pub fn check(contents: &Contents, size: usize) {
    let table = contents.table.as_ref().expect("a table was read");
    assert!(table.columns.len() as u64 <= table.columns_total);
    assert!(table.rows <= size as u64);
    for column in &table.columns {
        assert!(!column.name.is_empty() && column.name.chars().count() <= 300);
        assert!(column.missing <= table.rows);
        assert!(column.min.is_none_or(f64::is_finite) && column.min <= column.max);
    }
    if let Some(time) = &table.time {
        assert_eq!(time.first.is_some(), time.last.is_some());
        assert!(time.gaps < table.rows.max(1));
    }
    let told = serde_json::to_string(contents).expect("JSON");
    assert!(told.len() < 4 << 20, "the parent takes 4 MiB");
    let back: Contents = serde_json::from_str(&told).expect("what was told can be read");
    assert_eq!(back.format, contents.format);
}

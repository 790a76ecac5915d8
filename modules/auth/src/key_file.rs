//! The key of a server that was given none: made once, kept in the data folder, read at each start.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use filament_kernel::module::StartError;

use crate::domain::token_key::TokenKey;

/// Reads the key in `folder`, or makes it. A crash at any point leaves either no key or a whole one.
pub(crate) fn read_or_make(folder: &Path) -> Result<TokenKey, StartError> {
    let path = folder.join("token.key");
    match fs::read_to_string(&path) {
        Ok(text) => {
            keep_private(&path)?;
            text.trim().parse().map_err(|problem| {
                format!(
                    "{}: {problem}; restore it, or delete it to have a new one made (access tokens made with the old one then end)",
                    path.display()
                )
                .into()
            })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => make(folder, &path)
            .map_err(|error| format!("{}: cannot be made: {error}", path.display()).into()),
        Err(error) => Err(format!("{}: cannot be read: {error}", path.display()).into()),
    }
}

fn make(folder: &Path, path: &Path) -> std::io::Result<TokenKey> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let key = TokenKey::generate();
    let temporary = folder.join(format!("token.key.{}.new", std::process::id()));
    // What an earlier process of this number left behind when it was killed.
    if let Err(error) = fs::remove_file(&temporary)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    writeln!(file, "{}", key.encoded())?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(folder)?.sync_all()?;
    Ok(key)
}

fn keep_private(path: &Path) -> std::io::Result<()> {
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "others could read the key of the access tokens; its permissions are corrected");
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_for_its_owner_only() {
        let data = tempfile::tempdir().expect("a folder");
        let folder = data.path().join("auth");
        let made = read_or_make(&folder).expect("a key");
        let mode = |path: &Path| {
            fs::metadata(path)
                .expect("it is there")
                .permissions()
                .mode()
                & 0o777
        };
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&folder.join("token.key")), 0o600);
        assert_eq!(
            fs::read_dir(&folder).expect("a folder").count(),
            1,
            "nothing temporary is left"
        );

        fs::set_permissions(folder.join("token.key"), fs::Permissions::from_mode(0o644))
            .expect("ours");
        let read = read_or_make(&folder).expect("the key");
        assert_eq!(made.bytes(), read.bytes());
        assert_eq!(mode(&folder.join("token.key")), 0o600);
    }

    #[test]
    fn a_broken_key_is_not_replaced_and_not_shown() {
        let data = tempfile::tempdir().expect("a folder");
        fs::write(data.path().join("token.key"), "c2VjcmV0\n").expect("ours");
        let error = read_or_make(data.path()).err().expect("no key").to_string();
        assert!(error.contains("token.key"), "{error}");
        assert!(!error.contains("c2VjcmV0"), "{error}");
    }
}

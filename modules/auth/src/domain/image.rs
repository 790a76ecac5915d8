//! Images, told apart by their first bytes. They are never decoded: what a decoder would make of the rest is the client's affair.

use filament_kernel::{ApiError, ErrorCode};

/// An image that browsers show and that cannot carry a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ImageType {
    Jpeg,
    Png,
    Webp,
    Avif,
    Gif,
}

/// What clients declare when they claim nothing.
const UNSPECIFIC: &str = "application/octet-stream";

impl ImageType {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [Self::Jpeg, Self::Png, Self::Webp, Self::Avif, Self::Gif];

    /// The type that the bytes begin like.
    fn sniff(bytes: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|image| match image {
            Self::Jpeg => bytes.starts_with(&[0xFF, 0xD8, 0xFF]),
            Self::Png => bytes.starts_with(b"\x89PNG\r\n\x1A\n"),
            Self::Webp => bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP"),
            Self::Avif => is_avif(bytes),
            Self::Gif => bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a"),
        })
    }

    /// The media type that it is stored and served as.
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
            Self::Avif => "image/avif",
            Self::Gif => "image/gif",
        }
    }

    fn is_called(self, declared: &str) -> bool {
        // Not registered, and written all the same.
        let common = self == Self::Jpeg && declared == "image/jpg";
        common || declared == self.media_type()
    }
}

/// What an upload is, by its bytes. What it `declared`, a media type in lower case without parameters, must not contradict them.
///
/// # Errors
/// 400 when it is empty, 415 when it is none of the five types or declared as something else.
pub(crate) fn check(bytes: &[u8], declared: Option<&str>) -> Result<ImageType, ApiError> {
    let unsupported = |problem| ApiError::new(ErrorCode::UNSUPPORTED_MEDIA_TYPE, problem);
    if bytes.is_empty() {
        return Err(ApiError::new(
            ErrorCode::INVALID_REQUEST,
            "the body is empty; it must be an image",
        ));
    }
    let image = ImageType::sniff(bytes)
        .ok_or_else(|| unsupported("the body must be a JPEG, PNG, WebP, AVIF or GIF image"))?;
    match declared {
        Some(declared) if declared != UNSPECIFIC && !image.is_called(declared) => Err(unsupported(
            "the body is not of the type that the Content-Type declares",
        )),
        _ => Ok(image),
    }
}

/// An ISO media file of which the first box names the brand `avif`, or `avis` for a sequence (AV1 Image File Format, section 8).
fn is_avif(bytes: &[u8]) -> bool {
    let brands = || -> Option<&[u8]> {
        let (length, rest) = bytes.split_first_chunk()?;
        let file_type = rest.strip_prefix(b"ftyp")?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        file_type.get(..length.checked_sub(8)?)
    };
    // The major brand, a version, then the compatible brands, four bytes each.
    brands().is_some_and(|brands| {
        brands
            .chunks_exact(4)
            .enumerate()
            .any(|(place, brand)| place != 1 && (brand == b"avif" || brand == b"avis"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AVIF: &[u8] = b"\0\0\0\x1Cftypavif\0\0\0\0avifmif1miaf";
    const AVIF_BY_COMPATIBILITY: &[u8] = b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif";

    #[test]
    fn an_image_is_known_by_its_first_bytes() {
        for (bytes, expected) in [
            (&b"\xFF\xD8\xFF\xE0rest"[..], ImageType::Jpeg),
            (b"\x89PNG\r\n\x1A\nrest", ImageType::Png),
            (b"RIFF\x10\0\0\0WEBPVP8 ", ImageType::Webp),
            (AVIF, ImageType::Avif),
            (AVIF_BY_COMPATIBILITY, ImageType::Avif),
            (b"GIF87a", ImageType::Gif),
            (b"GIF89a", ImageType::Gif),
        ] {
            assert_eq!(ImageType::sniff(bytes), Some(expected));
            assert_eq!(check(bytes, None).ok(), Some(expected));
        }
        for bytes in [
            &b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>"[..],
            b"<!doctype html><script>alert(1)</script>",
            b"GIF=1;alert(1)",
            b"\x89PNG",
            b"\xFF\xD8",
            b"RIFF\x10\0\0\0WAVEfmt ",
            b"....\0\0\0\0WEBP",
            b"BM",
            b"\0\0\0\x1Cftypheic\0\0\0\0heicmif1miaf",
            b"\0\0\0\x10ftypmif1avif",
            b"\0\0\0\x10ftypmif1\0\0\0\0avif",
            b"\0\0\0\x07ftypavif",
            b"\xFF\xFF\xFF\xFFftypavif",
            b"\0\0\0\x1Cftyp",
        ] {
            assert_eq!(ImageType::sniff(bytes), None, "{bytes:?}");
            assert_eq!(check(bytes, None).err().map(|e| e.code().status), Some(415));
        }
    }

    #[test]
    fn a_declared_type_must_be_the_one_that_was_found() {
        let jpeg = b"\xFF\xD8\xFF\xE0";
        for declared in [
            None,
            Some("image/jpeg"),
            Some("image/jpg"),
            Some("application/octet-stream"),
        ] {
            assert_eq!(check(jpeg, declared).ok(), Some(ImageType::Jpeg));
        }
        for declared in ["image/png", "text/html", "image/svg+xml", "image/*", ""] {
            let refused = check(jpeg, Some(declared)).err().map(|e| e.code());
            assert_eq!(refused, Some(ErrorCode::UNSUPPORTED_MEDIA_TYPE));
        }
        let png = check(b"\x89PNG\r\n\x1A\n", Some("image/jpg"));
        assert!(png.is_err(), "only a JPEG is called image/jpg");
        let empty = check(b"", Some("image/png")).err().map(|e| e.code());
        assert_eq!(empty, Some(ErrorCode::INVALID_REQUEST));
    }
}

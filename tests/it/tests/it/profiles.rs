//! Profiles and pictures, seen from outside: who may change them, who hears of it, and what browsers get.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use filament_test_support::{
    Answer, Api, Backend, Person, Server, http::Method, on_both_databases,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// An id that nobody has.
const NOBODY: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

const AVATAR: &str = "/users/me/profile/avatar";
const BANNER: &str = "/users/me/profile/banner";

/// One pixel.
const PNG: &[u8] =
    b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1F\x15\xC4\x89\
    \0\0\0\rIDATx\x9Cc\xF8\xCF\xC0\xF0\x1F\0\x05\0\x01\xFF\x89\x99=\x1D\0\0\0\0IEND\xAEB`\x82";
const GIF: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xFF\xFF\xFF!\xF9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
const JPEG: &[u8] = b"\xFF\xD8\xFF\xE0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xFF\xD9";
const WEBP: &[u8] = b"RIFF\x1A\0\0\0WEBPVP8L\r\0\0\0/\0\0\0\x10\x07\x10\x11\x11\x88\x88\xFE\x07\0";
const AVIF: &[u8] = b"\0\0\0\x1Cftypavif\0\0\0\0avifmif1miaf\0\0\0\x08mdat";

/// The product with a module that keeps bytes.
async fn server(backend: Backend) -> Server {
    Server::builder(backend)
        .binary("notes_server")
        .env("FILAMENT_AUTH__PROFILE_CHANGES_PER_HOUR", 1_000)
        .start()
        .await
}

async fn upload(api: &Api, path: &str, declared: Option<&str>, bytes: &[u8]) -> Answer {
    let request = api.request(Method::POST, path).body(bytes.to_vec());
    api.send(match declared {
        Some(declared) => request.header("content-type", declared),
        None => request,
    })
    .await
}

async fn load(api: &Api, method: Method, path: &str, known: Option<&str>) -> Answer {
    let request = api.request(method, path);
    api.send(match known {
        Some(known) => request.header("if-none-match", known),
        None => request,
    })
    .await
}

fn picture_of(person: &Person, picture: &str) -> String {
    format!("/users/{}/{picture}", person.user_id)
}

async fn profile_of(reader: &Person, user_id: &str) -> Answer {
    reader.api.get(&format!("/users/{user_id}/profile")).await
}

async fn befriend(one: &Person, other: &Person) {
    let request = json!({ "recipient_user_id": other.user_id });
    let sent = one.api.post("/friends/requests", request).await.expect(200);
    let id = sent.body["request_id"].as_str().expect("an id").to_owned();
    other
        .api
        .post_nothing(&format!("/friends/requests/{id}/accept"))
        .await
        .expect(200);
}

on_both_databases!(
    a_profile_is_changed_by_its_owner_and_read_by_anybody,
    async |backend| {
        let server = server(backend).await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        let mut ears = ada.listen().await;

        let about = "I like *engines*";
        let change = json!({ "username": "Countess", "about_markdown": about });
        let changed = ada.api.patch("/users/me/profile", change).await.expect(200);
        assert_eq!(
            changed.body,
            json!({
                "user_id": ada.user_id,
                "username": "Countess",
                "about_markdown": about,
                "about_markdown_tokens": [
                    { "type": "paragraph_start" },
                    { "type": "text", "text": "I like " },
                    { "type": "emphasis_start" },
                    { "type": "text", "text": "engines" },
                    { "type": "emphasis_end" },
                    { "type": "paragraph_end" },
                ],
                "avatar_version": 0,
                "banner_version": 0,
            })
        );
        assert_eq!(ada.api.get("/auth/me").await.body, changed.body);
        assert_eq!(profile_of(&bob, &ada.user_id).await.body, changed.body);
        profile_of(&bob, NOBODY)
            .await
            .expect_error(404, "not_found");

        let told = ears.expect("profile_update").await;
        assert_eq!(told.data["user_id"], *ada.user_id);
        assert_eq!(told.data["actor_user_id"], *ada.user_id);
        assert!(
            told.data["updated_at_unix"]
                .as_i64()
                .is_some_and(|at| at > 0)
        );
        assert_eq!(
            told.data["updated_fields"],
            json!({
                "username": "Countess",
                "about_markdown": about,
                "about_markdown_tokens": changed.body["about_markdown_tokens"],
            })
        );

        // What stays the same is not told, and alone it is no change.
        let change = json!({ "username": "Countess", "about_markdown": "" });
        let changed = ada.api.patch("/users/me/profile", change).await.expect(200);
        assert_eq!(changed.body["about_markdown_tokens"], json!([]));
        let told = ears.expect("profile_update").await;
        assert_eq!(
            told.data["updated_fields"],
            json!({ "about_markdown": "", "about_markdown_tokens": [] })
        );
        let same = json!({ "username": "Countess" });
        ada.api.patch("/users/me/profile", same).await.expect(200);
        ears.expect_silence().await;

        // The new name is that of the log-in, and the old one is free.
        Person::log_in(&server, "Countess").await;
        Person::register(&server, "ada").await;
    }
);

on_both_databases!(what_is_no_profile_is_refused, async |backend| {
    let server = server(backend).await;
    let ada = Person::register(&server, "ada").await;
    Person::register(&server, "bob").await;
    for refused in [
        json!({}),
        json!({ "username": null }),
        json!({ "username": "ab" }),
        json!({ "username": "a b c" }),
        json!({ "username": "x".repeat(33) }),
        json!({ "username": 7 }),
        json!({ "about_markdown": "x".repeat(2_049) }),
        json!({ "about_markdown": "\u{1F600}".repeat(1_025) }),
        json!({ "about_markdown": "a\0b" }),
        json!({ "about_markdown": "x", "avatar_version": 7 }),
    ] {
        ada.api
            .patch("/users/me/profile", refused)
            .await
            .expect_error(400, "invalid_request");
    }
    for taken in ["bob", "BOB"] {
        ada.api
            .patch(
                "/users/me/profile",
                json!({ "username": taken, "about_markdown": "x" }),
            )
            .await
            .expect_error(409, "username_taken");
    }
    assert_eq!(ada.api.get("/auth/me").await.body["about_markdown"], "");
    // One's own name in another case is one's own.
    let shown = json!({ "username": "ADA" });
    let changed = ada.api.patch("/users/me/profile", shown).await.expect(200);
    assert_eq!(changed.body["username"], "ADA");

    let nobody = server.api();
    for (method, path) in [
        (Method::PATCH, "/users/me/profile".to_owned()),
        (Method::GET, format!("/users/{}/profile", ada.user_id)),
        (Method::POST, "/users/lookup".to_owned()),
        (Method::POST, AVATAR.to_owned()),
        (Method::DELETE, BANNER.to_owned()),
    ] {
        load(&nobody, method, &path, None)
            .await
            .expect_error(401, "invalid_credentials");
    }
});

on_both_databases!(of_many_who_want_a_name_one_gets_it, async |backend| {
    let server = server(backend).await;
    let mut people = Vec::new();
    for number in 0..8 {
        people.push(Person::register(&server, &format!("person{number}")).await);
    }
    let wanted =
        json!({ "username": "Wanted", "password": filament_test_support::people::PASSWORD });
    let mut asking = JoinSet::new();
    for person in &people {
        let api = person.api.clone();
        asking.spawn(async move {
            api.patch("/users/me/profile", json!({ "username": "Wanted" }))
                .await
        });
    }
    let api = server.api();
    let registering = tokio::spawn(async move { api.post("/auth/register", wanted).await });
    let answers = asking.join_all().await;
    registering.await.expect("answered").expect(200);
    let renamed = answers.iter().filter(|answer| answer.status == 200).count();
    for answer in answers {
        if answer.status != 200 {
            answer.expect_error(409, "username_taken");
        }
    }
    assert!(renamed <= 1, "{renamed} have the name");
    // Whoever it was, log-in finds exactly one account.
    Person::log_in(&server, "Wanted").await;
});

on_both_databases!(users_are_looked_up_in_the_order_asked, async |backend| {
    let server = server(backend).await;
    let ada = Person::register(&server, "ada").await;
    let bob = Person::register(&server, "bob").await;
    upload(&bob.api, AVATAR, None, PNG).await.expect(200);
    let look = async |ids: &[&str]| {
        ada.api
            .post("/users/lookup", json!({ "user_ids": ids }))
            .await
    };

    let found = look(&[&bob.user_id, NOBODY, &ada.user_id, &bob.user_id]).await;
    assert_eq!(
        found.expect(200).body,
        json!({ "users": [
            { "user_id": bob.user_id, "username": "bob", "avatar_version": 1 },
            { "user_id": ada.user_id, "username": "ada", "avatar_version": 0 },
        ] })
    );
    assert_eq!(
        look(&[NOBODY; 64]).await.expect(200).body,
        json!({ "users": [] })
    );
    look(&[]).await.expect_error(400, "invalid_request");
    look(&[NOBODY; 65])
        .await
        .expect_error(400, "invalid_request");
    look(&["bob"]).await.expect_error(400, "invalid_request");
});

on_both_databases!(
    the_densest_text_fits_the_answer_and_the_event,
    async |backend| {
        let server = server(backend).await;
        let ada = Person::register(&server, "ada").await;
        let mut ears = ada.listen().await;
        for about in [
            "- ".repeat(1_024),
            "\u{1}".repeat(2_048),
            "[a](http://b)".repeat(157),
        ] {
            let change = json!({ "about_markdown": about });
            let changed = ada.api.patch("/users/me/profile", change).await.expect(200);
            let told = ears.expect("profile_update").await;
            assert_eq!(
                told.data["updated_fields"]["about_markdown_tokens"],
                changed.body["about_markdown_tokens"]
            );
        }
    }
);

on_both_databases!(
    friends_hear_of_a_changed_profile_and_strangers_do_not,
    async |backend| {
        let server = server(backend).await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        let eve = Person::register(&server, "eve").await;
        befriend(&ada, &bob).await;
        let mut own = ada.listen().await;
        let mut friend = bob.listen().await;
        let mut stranger = eve.listen().await;

        let change = json!({ "username": "countess" });
        ada.api.patch("/users/me/profile", change).await.expect(200);
        upload(&ada.api, AVATAR, None, PNG).await.expect(200);
        upload(&ada.api, BANNER, None, GIF).await.expect(200);
        ada.api.delete(AVATAR).await.expect(200);
        for ears in [&mut own, &mut friend] {
            let renamed = ears.expect("profile_update").await;
            assert_eq!(
                renamed.data["updated_fields"],
                json!({ "username": "countess" })
            );
            for (event, field, version) in [
                ("profile_avatar_update", "avatar_version", 1),
                ("profile_banner_update", "banner_version", 1),
                ("profile_avatar_update", "avatar_version", 2),
            ] {
                let told = ears.expect(event).await;
                assert_eq!(told.data[field], version);
                assert_eq!(told.data["user_id"], *ada.user_id);
                assert_eq!(told.data["actor_user_id"], *ada.user_id);
                let keys: BTreeSet<&str> = told
                    .data
                    .as_object()
                    .expect("an object")
                    .keys()
                    .map(String::as_str)
                    .collect();
                assert_eq!(
                    keys,
                    BTreeSet::from(["actor_user_id", field, "updated_at_unix", "user_id"])
                );
            }
        }
        stranger.expect_silence().await;

        ada.api
            .delete(&format!("/friends/{}", bob.user_id))
            .await
            .expect(204);
        friend.drain().await;
        upload(&ada.api, AVATAR, None, PNG).await.expect(200);
        friend.expect_silence().await;
    }
);

on_both_databases!(
    every_kind_of_image_is_kept_and_shown_to_anybody,
    async |backend| {
        let server = server(backend).await;
        let ada = Person::register(&server, "ada").await;
        let nobody = server.api();
        for (path, picture, field) in [
            (AVATAR, "avatar", "avatar_version"),
            (BANNER, "banner", "banner_version"),
        ] {
            let shown = picture_of(&ada, picture);
            let none = nobody.get(&shown).await.expect_error(404, "not_found");
            let unknown = nobody.get(&format!("/users/{NOBODY}/{picture}")).await;
            assert_eq!(
                none.message(),
                unknown.expect_error(404, "not_found").message()
            );

            for (version, (declared, kind, bytes)) in (1..).zip([
                (Some("image/png"), "image/png", PNG),
                (Some("image/jpg"), "image/jpeg", JPEG),
                (Some("image/JPEG; q=1"), "image/jpeg", JPEG),
                (Some("application/octet-stream"), "image/gif", GIF),
                (None, "image/webp", WEBP),
                (None, "image/avif", AVIF),
            ]) {
                let changed = upload(&ada.api, path, declared, bytes).await.expect(200);
                assert_eq!(changed.body[field], version);
                assert_eq!(ada.api.get("/auth/me").await.body, changed.body);
                let image = nobody.get(&shown).await.expect(200);
                assert_eq!(image.bytes, bytes);
                assert_eq!(image.header("content-type"), kind);
            }
        }
        // The pictures of before are not kept.
        let kept = ada.api.get("/shelf").await.expect(200);
        assert_eq!(kept.body["blobs"].as_array().map(Vec::len), Some(2));
    }
);

on_both_databases!(
    browsers_keep_a_picture_and_do_nothing_else_with_it,
    async |backend| {
        let server = server(backend).await;
        let ada = Person::register(&server, "ada").await;
        upload(&ada.api, AVATAR, None, PNG).await.expect(200);
        let nobody = server.api();
        let path = picture_of(&ada, "avatar");
        let now = format!("{path}?v=1");

        let image = nobody.get(&now).await.expect(200);
        for (name, value) in [
            ("etag", "\"1\""),
            ("cache-control", "public, max-age=31536000, immutable"),
            ("content-length", &PNG.len().to_string()),
            ("content-disposition", "inline"),
            ("content-security-policy", "sandbox; default-src 'none'"),
            ("cross-origin-resource-policy", "cross-origin"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(image.header(name), value, "{name}");
        }
        // Without the version, or with another, it is the same picture, to be asked for again.
        for path in [path.clone(), format!("{path}?v=0"), format!("{path}?v=2")] {
            let image = nobody.get(&path).await.expect(200);
            assert_eq!(image.header("cache-control"), "public, no-cache", "{path}");
            assert_eq!(image.bytes, PNG);
        }
        let head = load(&nobody, Method::HEAD, &now, None).await.expect(200);
        for name in ["content-type", "content-length", "etag", "cache-control"] {
            assert_eq!(head.header(name), image.header(name), "{name}");
        }
        for known in ["\"1\"", "W/\"1\"", "\"7\", \"1\"", "*"] {
            let same = load(&nobody, Method::GET, &path, Some(known)).await;
            let same = same.expect(304);
            assert_eq!(same.header("etag"), "\"1\"", "{known}");
            assert_eq!(same.header("cache-control"), "public, no-cache", "{known}");
        }
        for known in ["\"7\"", "1", ""] {
            load(&nobody, Method::GET, &path, Some(known))
                .await
                .expect(200);
        }
        upload(&ada.api, AVATAR, None, GIF).await.expect(200);
        let next = load(&nobody, Method::GET, &now, Some("\"1\""))
            .await
            .expect(200);
        assert_eq!(next.bytes, GIF);
        assert_eq!(next.header("etag"), "\"2\"");
        nobody
            .get(&format!("{path}?v=x"))
            .await
            .expect_error(400, "invalid_request");
    }
);

on_both_databases!(
    what_is_no_image_or_claims_to_be_another_is_refused,
    async |backend| {
        let server = server(backend).await;
        let ada = Person::register(&server, "ada").await;
        let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";
        let html = b"<!doctype html><script>alert(1)</script>";
        for (declared, bytes) in [
            (Some("image/svg+xml"), &svg[..]),
            (None, &svg[..]),
            (Some("text/html"), html),
            (Some("image/png"), html),
            (Some("image/gif"), b"GIF=1;alert(1)"),
            (Some("text/html"), PNG),
            (Some("image/gif"), PNG),
            (Some("application/json"), PNG),
            (None, b"\x89PN"),
            (None, b"%PDF-1.7"),
        ] {
            for path in [AVATAR, BANNER] {
                upload(&ada.api, path, declared, bytes)
                    .await
                    .expect_error(415, "unsupported_media_type");
            }
        }
        for path in [AVATAR, BANNER] {
            upload(&ada.api, path, Some("image/png"), b"")
                .await
                .expect_error(400, "invalid_request");
        }
        let profile = ada.api.get("/auth/me").await.body;
        assert_eq!(
            (&profile["avatar_version"], &profile["banner_version"]),
            (&json!(0), &json!(0))
        );
        assert_eq!(ada.api.get("/shelf").await.body, json!({ "blobs": [] }));
    }
);

on_both_databases!(an_image_is_as_long_as_it_may_be, async |backend| {
    let server = server(backend).await;
    let ada = Person::register(&server, "ada").await;
    for (path, max) in [(AVATAR, 2 << 20), (BANNER, 6 << 20)] {
        let mut image = PNG.to_vec();
        image.resize(max, 0);
        upload(&ada.api, path, None, &image).await.expect(200);
        image.push(0);
        upload(&ada.api, path, None, &image)
            .await
            .expect_error(413, "payload_too_large");
    }
});

on_both_databases!(
    uploads_side_by_side_leave_one_picture_and_count_exactly,
    async |backend| {
        let server = server(backend).await;
        let ada = Person::register(&server, "ada").await;
        let mut uploads = JoinSet::new();
        for number in 0..24_u8 {
            let api = ada.api.clone();
            uploads.spawn(async move {
                let image = [PNG, &[number]].concat();
                upload(&api, AVATAR, None, &image).await.expect(200).body
            });
        }
        let answers = uploads.join_all().await;
        let versions: BTreeSet<i64> = answers
            .iter()
            .filter_map(|profile| profile["avatar_version"].as_i64())
            .collect();
        assert_eq!(versions, (1..=24).collect());
        let kept = ada.api.get("/shelf").await.expect(200);
        let claims: Vec<&Value> = kept.body["blobs"]
            .as_array()
            .expect("blobs")
            .iter()
            .map(|blob| &blob["claimed"])
            .collect();
        assert_eq!(claims, [&json!(true)]);
        let image = server
            .api()
            .get(&picture_of(&ada, "avatar"))
            .await
            .expect(200);
        assert_eq!(image.header("etag"), "\"24\"");
    }
);

on_both_databases!(a_removed_picture_is_gone, async |backend| {
    let server = server(backend).await;
    let ada = Person::register(&server, "ada").await;
    let shown = picture_of(&ada, "banner");
    // What is not there can be removed, too; it is no change.
    let removed = ada.api.delete(BANNER).await.expect(200);
    assert_eq!(removed.body["banner_version"], 0);
    upload(&ada.api, BANNER, None, GIF).await.expect(200);
    let mut ears = ada.listen().await;
    for _ in 0..2 {
        let removed = ada.api.delete(BANNER).await.expect(200);
        assert_eq!(removed.body["banner_version"], 2);
        server
            .api()
            .get(&shown)
            .await
            .expect_error(404, "not_found");
        load(&server.api(), Method::GET, &shown, Some("\"1\""))
            .await
            .expect_error(404, "not_found");
    }
    let told = ears.expect("profile_banner_update").await;
    assert_eq!(told.data["banner_version"], 2);
    ears.expect_silence().await;
    assert_eq!(ada.api.get("/shelf").await.body, json!({ "blobs": [] }));
    // A version is never used twice.
    let next = upload(&ada.api, BANNER, None, GIF).await.expect(200);
    assert_eq!(next.body["banner_version"], 3);
});

on_both_databases!(
    without_a_place_for_pictures_everything_else_works,
    async |backend| {
        let server = server(backend).await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        upload(&ada.api, AVATAR, None, PNG).await.expect(200);
        let shown = picture_of(&ada, "avatar");
        server.write_config("[modules]\nshelf = false\n");
        server.cli(&["reload"]).await.expect(0);

        upload(&ada.api, AVATAR, None, PNG)
            .await
            .expect_error(503, "service_unavailable");
        ada.api
            .delete(AVATAR)
            .await
            .expect_error(503, "service_unavailable");
        server
            .api()
            .get(&shown)
            .await
            .expect_error(503, "service_unavailable");
        // Where there is no picture, none is missed.
        server
            .api()
            .get(&picture_of(&bob, "avatar"))
            .await
            .expect_error(404, "not_found");
        bob.api.delete(AVATAR).await.expect(200);
        let change = json!({ "about_markdown": "still here" });
        let changed = ada.api.patch("/users/me/profile", change).await.expect(200);
        assert_eq!(changed.body["avatar_version"], 1);

        server.write_config("[modules]\nshelf = true\n");
        server.cli(&["reload"]).await.expect(0);
        server.api().get(&shown).await.expect(200);
    }
);

on_both_databases!(
    a_full_place_for_pictures_keeps_the_old_one,
    async |backend| {
        let server = Server::builder(backend)
            .binary("notes_server")
            .config("[shelf]\nmax_blobs_per_user = 1\n")
            .start()
            .await;
        let ada = Person::register(&server, "ada").await;
        upload(&ada.api, AVATAR, None, PNG).await.expect(200);
        upload(&ada.api, AVATAR, None, GIF)
            .await
            .expect_error(409, "quota_exceeded");
        let image = server.api().get(&picture_of(&ada, "avatar")).await;
        assert_eq!(image.expect(200).bytes, PNG);
    }
);

on_both_databases!(profiles_change_only_so_often, async |backend| {
    let server = Server::builder(backend)
        .binary("notes_server")
        .env("FILAMENT_AUTH__PROFILE_CHANGES_PER_HOUR", 3)
        .start()
        .await;
    let ada = Person::register(&server, "ada").await;
    let bob = Person::register(&server, "bob").await;
    ada.api
        .patch("/users/me/profile", json!({ "about_markdown": "x" }))
        .await
        .expect(200);
    upload(&ada.api, AVATAR, None, PNG).await.expect(200);
    ada.api.delete(BANNER).await.expect(200);
    ada.api
        .patch("/users/me/profile", json!({ "about_markdown": "y" }))
        .await
        .expect_error(429, "rate_limited");
    upload(&ada.api, AVATAR, None, PNG)
        .await
        .expect_error(429, "rate_limited");
    ada.api
        .delete(AVATAR)
        .await
        .expect_error(429, "rate_limited");
    // The limit is each user's own.
    upload(&bob.api, AVATAR, None, PNG).await.expect(200);
});

on_both_databases!(
    a_picture_that_is_being_replaced_is_always_there,
    async |backend| {
        let server = server(backend).await;
        let ada = Person::register(&server, "ada").await;
        upload(&ada.api, AVATAR, None, PNG).await.expect(200);
        let (nobody, shown) = (server.api(), picture_of(&ada, "avatar"));
        let replaced = Arc::new(AtomicBool::new(false));
        let mut loading = JoinSet::new();
        for _ in 0..4 {
            let (nobody, shown, replaced) = (nobody.clone(), shown.clone(), replaced.clone());
            loading.spawn(async move {
                while !replaced.load(Ordering::Relaxed) {
                    nobody.get(&shown).await.expect(200);
                }
            });
        }
        for _ in 0..40 {
            upload(&ada.api, AVATAR, None, GIF).await.expect(200);
        }
        replaced.store(true, Ordering::Relaxed);
        loading.join_all().await;
    }
);

on_both_databases!(a_disabled_account_is_still_shown, async |backend| {
    let server = server(backend).await;
    let ada = Person::register(&server, "ada").await;
    let bob = Person::register(&server, "bob").await;
    upload(&ada.api, AVATAR, None, PNG).await.expect(200);
    let before = profile_of(&bob, &ada.user_id).await.expect(200);
    server
        .cli(&["admin", "user", "disable", "ada"])
        .await
        .expect(0);
    assert_eq!(profile_of(&bob, &ada.user_id).await.body, before.body);
    server
        .api()
        .get(&picture_of(&ada, "avatar"))
        .await
        .expect(200);
    upload(&ada.api, AVATAR, None, PNG)
        .await
        .expect_error(401, "invalid_credentials");
});

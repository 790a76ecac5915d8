//! What a change of a profile writes and tells, and that it does neither when something that it needs is away.

use std::sync::Arc;

use filament_auth::Auth;
use filament_kernel::{
    id::UserId,
    log::{NewEvent, Stream, Topic},
    module::{Module, document_of},
};
use filament_test_support::on_both_databases;
use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    harness::{Refusal, Server, Session, Site},
    ports::{Shelf, TheseFriends},
};

const PROFILE: &str = "/users/me/profile";
const AVATAR: &str = "/users/me/profile/avatar";
const PNG: &[u8] = b"\x89PNG\r\n\x1A\n";

async fn change(server: &Server, person: &Session, body: Value) -> Result<Value, Refusal> {
    let token = Some(person.access_token.as_str());
    let answer = server.call(Method::PATCH, PROFILE, token, Some(&body));
    answer.await.map(|(_, profile)| profile)
}

async fn upload(server: &Server, person: &Session) -> Result<Value, Refusal> {
    let answer = server.upload(AVATAR, &person.access_token, PNG);
    answer.await.map(|(_, profile)| profile)
}

async fn id_of(server: &Server, person: &Session) -> UserId {
    let caller = server.authenticate(&person.access_token).await;
    caller.expect("logged in").user_id
}

fn to(events: &[NewEvent]) -> Vec<Topic> {
    events.iter().map(|event| event.topic).collect()
}

on_both_databases!(
    a_change_is_told_to_the_user_and_to_each_friend_in_the_same_words,
    async |backend| {
        let site = Site::new(backend).await;
        let server = site.server().await.start();
        let ada = server.person("ada").await;
        let user = id_of(&server, &ada).await;
        let friends: Vec<UserId> = (0..3).map(|_| site.stranger()).collect();
        let shelf = Arc::new(Shelf::default());
        site.ports.are([
            TheseFriends(Some(friends.clone())).provided(),
            shelf.provided(),
        ]);

        change(&server, &ada, json!({ "username": "countess" }))
            .await
            .expect("changed");
        let renamed = server.log.told();
        upload(&server, &ada).await.expect("uploaded");
        let shown = server.log.told();

        let all: Vec<Topic> = std::iter::once(user)
            .chain(friends)
            .map(|user| Stream::User(user).into())
            .collect();
        for (events, name) in [
            (renamed, "profile_update"),
            (shown, "profile_avatar_update"),
        ] {
            assert_eq!(to(&events), all, "{name}");
            assert!(events.iter().all(|event| event.name == name));
            assert!(events.iter().all(|event| event.data == events[0].data));
        }
        assert!(server.audit.actions().contains(&"account.rename"));
    }
);

on_both_databases!(
    without_anybody_who_knows_friends_only_the_user_is_told,
    async |backend| {
        let site = Site::new(backend).await;
        let server = site.server().await.start();
        let ada = server.person("ada").await;
        change(&server, &ada, json!({ "about_markdown": "hi" }))
            .await
            .expect("changed");
        let user = id_of(&server, &ada).await;
        assert_eq!(to(&server.log.told()), [Stream::User(user).into()]);
    }
);

on_both_databases!(
    a_change_of_which_friends_cannot_be_told_is_not_made,
    async |backend| {
        let site = Site::new(backend).await;
        let server = site.server().await.start();
        let ada = server.person("ada").await;
        site.ports.are([TheseFriends(None).provided()]);
        let refused = change(&server, &ada, json!({ "username": "countess" })).await;
        assert_eq!(refused.map_err(|(status, ..)| status), Err(503));
        let profile = server.me(&ada.access_token).await.expect("a profile");
        assert_eq!(profile["username"], "ada");
        assert!(server.log.told().is_empty());
    }
);

on_both_databases!(
    bytes_that_cannot_be_claimed_leave_the_picture_of_before,
    async |backend| {
        let site = Site::new(backend).await;
        let server = site.server().await.start();
        let ada = server.person("ada").await;
        let shelf = Arc::new(Shelf::default());
        site.ports.are([shelf.provided()]);
        upload(&server, &ada).await.expect("uploaded");
        let (before, claimed) = (server.me(&ada.access_token).await, shelf.claimed());
        server.log.told();

        shelf.refuses(true);
        let refused = upload(&server, &ada).await;
        assert_eq!(refused.map_err(|(status, ..)| status), Err(503));
        assert_eq!(server.me(&ada.access_token).await, before);
        assert_eq!(shelf.claimed(), claimed);
        assert!(server.log.told().is_empty());

        shelf.refuses(false);
        let next = upload(&server, &ada).await.expect("uploaded");
        assert_eq!(next["avatar_version"], 2);
        assert_eq!(shelf.claimed().len(), 1);
        assert_ne!(shelf.claimed(), claimed);
    }
);

on_both_databases!(
    a_change_that_cannot_be_recorded_is_not_made,
    async |backend| {
        let site = Site::new(backend).await;
        let server = site.server().await.start();
        let ada = server.person("ada").await;
        server.audit.breaks(true);
        let refused = change(&server, &ada, json!({ "username": "countess" })).await;
        assert_eq!(refused.map_err(|(status, ..)| status), Err(500));
        let profile = server.me(&ada.access_token).await.expect("a profile");
        assert_eq!(profile["username"], "ada");
        assert!(server.log.told().is_empty());
    }
);

#[test]
fn images_are_documented_as_what_they_are() {
    let document = document_of::<<Auth as Module>::Api>();
    for picture in ["avatar", "banner"] {
        let path = &document["paths"][format!("/users/{{user_id}}/{picture}")];
        let answers = &path["get"]["responses"];
        let types: Vec<&str> = answers["200"]["content"]
            .as_object()
            .expect("content")
            .keys()
            .map(String::as_str)
            .collect();
        for kind in ["avif", "gif", "jpeg", "png", "webp"] {
            assert!(types.contains(&&*format!("image/{kind}")), "{types:?}");
        }
        assert_eq!(types.len(), 5);
        let png = &answers["200"]["content"]["image/png"]["schema"];
        assert_eq!(
            (&png["type"], &png["format"]),
            (&json!("string"), &json!("binary"))
        );
        assert!(answers["304"]["content"].is_null());
        assert!(answers["200"]["headers"]["ETag"].is_object());
        let upload = &document["paths"][format!("/users/me/profile/{picture}")]["post"];
        assert!(upload["requestBody"]["content"]["application/octet-stream"].is_object());
    }
}

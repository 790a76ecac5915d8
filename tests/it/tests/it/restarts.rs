//! The server goes and comes back; people and what they said stay.

use std::time::Duration;

use filament_test_support::{Person, Server, Visibility, on_both_databases};

on_both_databases!(
    a_killed_server_comes_back_with_everything,
    async |backend| {
        let mut server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let channel = ada.open_channel(&guild, "general").await;
        bob.join(&guild).await;
        let before = ada.say(&guild, &channel, "before").await;
        let mut ears = bob.listen_in(&guild, &channel).await;

        server.kill9();
        assert_eq!(ears.closed().await.code, 1006);
        server.start_again().await;

        // Tokens of before are good, and so is the refresh token.
        assert_eq!(
            bob.history(&guild, &channel).await,
            std::slice::from_ref(&before)
        );
        let mut bob = bob;
        bob.refresh().await;
        let mut ears = bob.listen_in(&guild, &channel).await;
        let after = ada.say(&guild, &channel, "after").await;
        assert_eq!(
            ears.next_named("message_create").await.data["message_id"],
            *after.message_id
        );
        assert_eq!(bob.history(&guild, &channel).await, [before, after]);
    }
);

on_both_databases!(
    a_server_that_is_told_to_stop_says_goodbye,
    async |backend| {
        let mut server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let channel = ada.open_channel(&guild, "general").await;
        let mut ears = ada.listen_in(&guild, &channel).await;
        let said = ada.say(&guild, &channel, "one last word").await;

        let (status, heard) = tokio::join!(
            async {
                let stopping = tokio::time::timeout(Duration::from_secs(10), server.terminate());
                stopping.await.expect("it stops within its grace time")
            },
            async {
                let event = ears.next_named("message_create").await;
                (event, ears.closed().await)
            }
        );
        assert_eq!(status.code(), Some(0));
        assert_eq!(heard.0.data["message_id"], *said.message_id);
        assert_eq!(heard.1.code, 1001);
        assert!(!heard.1.reason.is_empty());

        server.start_again().await;
        assert_eq!(ada.history(&guild, &channel).await, [said]);
    }
);

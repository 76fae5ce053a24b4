use domain::http::{HttpRequest, HttpResponse};
use domain::port::{HttpAskError, HttpPort as _};
use insta::assert_snapshot;

use super::{HttpExchange, HttpScript};
use crate::exchange::digest_of_bytes;

const SECRET: &str = "https://api.example.com/bees?api_key=s3cret";
const MASKED: &str = "https://api.example.com/bees?api_key=***";

fn sent() -> HttpRequest {
    let (method, url) = ("GET".to_owned(), SECRET.to_owned());
    HttpRequest { method, url, headers: Vec::new(), body: Vec::new() }
}

fn response(url: &str) -> HttpExchange {
    let answer = HttpResponse { status: 200, headers: Vec::new(), body: Vec::new() };
    HttpExchange {
        method: "GET".to_owned(),
        url: url.to_owned(),
        request_digest: None,
        answer: Some(Ok(answer)),
    }
}

/// Why the request gets none of these responses; nobody is told its secret.
async fn refused(responses: Vec<HttpExchange>) -> String {
    let script = HttpScript::new(responses, 8);
    let Err(HttpAskError::Stop(fault)) = script.send(sent()).await else {
        panic!("the attempt goes on")
    };
    assert_eq!(script.problem().as_deref(), Some(fault.message.as_str()));
    let exchanges = script.exchanges();
    assert_eq!(exchanges.len(), 1, "it was sent");
    assert_eq!((exchanges[0].url.as_str(), &exchanges[0].answer), (MASKED, &None));
    for told in [&fault.message, &format!("{exchanges:?}")] {
        assert!(!told.contains("s3cret") && !told.contains("0ther"), "{told}");
    }
    fault.message
}

#[tokio::test]
async fn a_response_is_for_the_url_with_its_secret_without_it_or_for_the_digest() {
    let digest = Some(digest_of_bytes(&sent().digest_bytes()));
    let by_digest = HttpExchange { request_digest: digest, ..response(MASKED) };
    for given in [response(SECRET), response(MASKED), by_digest] {
        let script = HttpScript::new(vec![given], 8);
        assert!(script.send(sent()).await.is_ok());
        assert_eq!(script.exchanges()[0].url, MASKED);
        assert!(script.exchanges()[0].answer.is_some());
    }
}

#[tokio::test]
async fn each_reason_for_no_response_has_its_cure_and_no_secret() {
    let other = HttpRequest { body: b"other".to_vec(), ..sent() };
    let digest = Some(digest_of_bytes(&other.digest_bytes()));
    let told = [
        refused(Vec::new()).await,
        refused(vec![response("https://api.example.com/wasps?api_key=0ther")]).await,
        refused(vec![HttpExchange { request_digest: digest, ..response(MASKED) }]).await,
        refused(vec![response("https://api.example.com/bees?api_key=0ther")]).await,
    ];
    assert_snapshot!(told.join("\n"), @r#"
    the stage sent HTTP request 1, `GET https://api.example.com/bees?api_key=***`, and there is no response for it: write `response-1.json` into the fixture, or name a file with `--response`; it has `method` and `url` as in `{"method":"GET","url":"https://api.example.com/bees?api_key=***"}`, and `answer` (`status`, `headers`, `body`) or `error`
    the stage sent HTTP request 1 as `GET https://api.example.com/bees?api_key=***`, and response 1 is for `GET https://api.example.com/wasps?api_key=***`: correct the stage, or `method` and `url` of the response
    HTTP request 1, `GET https://api.example.com/bees?api_key=***`, has other headers, another body or another secret in its URL than the one that response 1 has the `request_digest` of: correct the stage, or remove the digest so that method and URL alone are compared
    HTTP request 1, `GET https://api.example.com/bees?api_key=***`, has another secret in its URL than response 1 says: correct the stage, or write the URL as it stands here: `***` is any secret
    "#);
}

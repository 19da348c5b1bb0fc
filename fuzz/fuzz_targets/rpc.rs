//! Arbitrary bytes as a request of the web UI: no panic, and an answer of one line whatever it is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use octonas::rpc;

fuzz_target!(|data: &[u8]| {
    let answer = match rpc::parse(data) {
        Ok(request) => rpc::answer(&Ok(request.params)),
        Err(error) => rpc::answer(&Err(error)),
    };
    assert_eq!(answer.to_string().lines().count(), 1);
});

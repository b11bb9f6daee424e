;; Takes the place of the SDK's callback when waypost.wasm is put together: the SDK cannot give all statuses of the ABI for a
;; part of a body, and src/plugin/status.rs can.
(module
  (import "waypost" "waypost_on_request_body"
    (func $callback (param $context i32) (param $size i32) (param $end_of_stream i32) (result i32)))
  (export "proxy_on_request_body" (func $callback)))

;; Takes the place of WASI's random_get when waypost.wasm is put together: an import that a host does not offer refuses the
;; module. The only map with a random seed is regex-lite's, of the group names in the operator's own patterns. So the
;; seed stays what the caller's buffer holds, zeros; nothing a client sends may ever be a key of a std hash map.
(module
  (func (export "random_get") (param $buffer i32) (param $length i32) (result i32)
    (i32.const 0)))

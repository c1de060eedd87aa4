//! What the daemon serves: /metrics, /live, /ready and the control socket.

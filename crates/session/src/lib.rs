//! One analyzer conversation: link machine, message, plan and acknowledgement policy to effects.

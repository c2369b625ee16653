/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Segments that the peer once sent and that the kernel must see again after an import, because
 * TCP_REPAIR cannot set what they did: its FIN, its ACK of our FIN, the timestamp it sent last.
 */
#ifndef LINUX_SYNTH_H
#define LINUX_SYNTH_H

#include "base/types.h"

#include "bpf/flow.h"

enum { SYNTH_BYTES_MAX = 14 + 40 + 20 + 12 };

struct synth_segment {
	const struct steer_key *flow; /* sent by its remote end */
	struct mac_addr port_mac;
	tcp_seq seq, ack;
	u16 wnd;  /* as on the wire */
	u8 flags; /* wire_tcp_flags */
	bool timestamps;
	u32 ts_val, ts_ecr;
};

/* Writes the frame with all checksums, at most SYNTH_BYTES_MAX bytes; returns how many. */
u32 synth_write(const struct synth_segment *s, u8 *to);

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Two nameless network namespaces joined by veth, for tests of ports: the calling thread lives in
 * the first ("wire0"), raw frames are sent and received at the far end in the second ("wire1").
 * Everything goes with the process.
 */
#ifndef TESTS_WIRE_H
#define TESTS_WIRE_H

#include "base/types.h"

#define WIRE_NEAR "wire0"
#define WIRE_FAR  "wire1"

/* What the far end sends and receives: ours, that no kernel stack answers to. */
enum { WIRE_ETHERTYPE = 0x88b5, WIRE_FRAME_MAX = 65536 + 256 };

struct wire {
	int far_fd; /* packet socket with virtio-net header, non-blocking */
	u32 near_ifindex;
	int attached_fd; /* of wire_redirect() */
	int far_ns_fd;
	u32 queues;
};

/* False, and why: the test is to be skipped. `queues`: of both ends. */
bool wire_setup(struct wire *w, u32 queues);
void wire_teardown(struct wire *w);

/* Runs a command line of `ip` (without "ip") in the first namespace, fails the test on error. */
void wire_ip(const char *words);

/* The same in the second namespace. */
void wire_far_ip(const struct wire *w, const char *words);

/* Sends everything that arrives at the near end of type WIRE_ETHERTYPE, or TCP, to another
 * interface, at tc ingress. */
void wire_redirect(struct wire *w, u32 to_ifindex);

/* The same for an interface of the calling thread's namespace; the program's descriptor. */
int wire_redirect_at(u32 from_ifindex, u32 to_ifindex);

/* Moves the calling thread into the far namespace, for good. */
void wire_enter_far(const struct wire *w);

/* Waits for `fd` to be readable; the test fails after 10 s. */
void wire_wait(int fd);

/* Frames of the far end leave by this transmit queue (and arrive on the receive queue of the same
 * number) from now on. Pins the calling thread to the processor of that number, which is how the
 * kernel chooses; false: there is no such processor. */
bool wire_far_queue(struct wire *w, u32 queue);

/* A frame with pattern bytes from offset 14 on; `tag` is its byte 14. Sent by the far end. */
void wire_far_send(struct wire *w, u8 tag, u32 len);
/* A superframe of TCP over IPv4 with `payload` pattern bytes, in segments of 1448. */
void wire_far_send_super(struct wire *w, u32 payload);

/* One segment of TCP over IPv4, ports 0x1000 at both ends, its checksum partial. */
void wire_far_send_tcp(struct wire *w, u32 payload);

/* What the far end received, without its virtio-net header; blocks. Length. */
u32 wire_far_receive(struct wire *w, u8 *to, u32 cap, u16 *ret_gso_bytes);

enum { WIRE_TCP_HEADERS = 14 + 20 + 32 };

/* Ethernet, IPv4 and TCP headers of a frame from the far to the near end (or back), the TCP
 * checksum partial. */
void wire_tcp_headers(u8 *to, u32 payload, bool from_far);

static inline u8 wire_pattern(u32 i)
{
	return (u8)(i * 13 + (i >> 8) * 5 + 1);
}

#endif

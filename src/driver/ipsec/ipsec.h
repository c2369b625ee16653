/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * IPsec (RFC 4301) between a lane and the device below: an IPsec chimney under a TCP chimney (R20,
 * R105). What the device emits leaves as ESP or AH where a policy says so; what arrives as ESP or
 * AH is verified, deciphered in its buffers and given to the device as an ordinary frame.
 *
 * Security associations are state objects of a schema of their own (driver/ipsec/sa.h): they are
 * offloaded, updated, queried and uploaded in block lists, by the calls below. Policies say what
 * must be protected and how; an association serves a policy when protocol, mode, suite and the ends
 * of the tunnel are the same, and a flow when its selectors match. Without one, what must be
 * protected is dropped: it never leaves in the clear, nor is it taken in the clear.
 *
 * A superframe is cut before it is sealed. Each path whose traffic is protected has its path MTU
 * lowered on its way down by what protection adds, and raised again on the way up, so those above
 * never see it.
 *
 * The path MTU is not lowered below its family's minimum: where 1,280 bytes of IPv6 and protection
 * do not fit, frames are dropped and counted. Fragments are not sealed (the device makes none), and
 * fragments of ESP and AH are dropped: their sender has been told of no MTU that calls for them.
 *
 * AH around ESP is two drivers, the one of AH nearer to the lane. Each drops what has an SPI that
 * it does not know, so they do not stand side by side.
 *
 * Pure core: time, memory, ciphers are the caller's.
 */
#ifndef DRIVER_IPSEC_IPSEC_H
#define DRIVER_IPSEC_IPSEC_H

#include "base/hash.h"
#include "driver/ipsec/sa.h"
#include "offload/chain.h"
#include "wire/reason.h"

/* Of a packet before it is sealed or after it was opened; "local" is this end. */
struct ipsec_selector {
	struct ip_addr local, remote;
	u8 local_bits, remote_bits;  /* prefix lengths, up to 32 or 128 */
	u8 protocol;                 /* 0: any */
	u16 local_port, remote_port; /* 0: any */
};

enum ipsec_action {
	IPSEC_BYPASS,
	IPSEC_PROTECT,
	IPSEC_DISCARD,
};

struct ipsec_policy {
	struct ipsec_selector selector;
	u8 action; /* enum ipsec_action */
	/* PROTECT: how. */
	u8 protocol;                  /* WIRE_IPPROTO_ESP, WIRE_IPPROTO_AH */
	u8 mode;                      /* enum ipsec_mode */
	u8 suite;                     /* enum cipher_suite */
	struct ip_addr local, remote; /* ends of the tunnel */
};

enum ipsec_event {
	IPSEC_SOFT_EXPIRED, /* time for another one */
	IPSEC_HARD_EXPIRED, /* it takes and makes no more packets */
	IPSEC_SEQUENCE_USED_UP,
};

struct ipsec_config {
	u32 sas;
	u32 policies;
	u32 paths;             /* that the device below may have */
	u32 frames;            /* sealed frames that wait for their port at once, at least 64 */
	u32 list_blocks;       /* the longest list */
	u32 mtu_bytes;         /* of the ports: no IP packet is longer */
	u64 seed;              /* of hashes, secret */
	struct buf_pool *pool; /* of the device and its ports; `frames` buffers are taken from it */
	struct cipher_env cipher;
	/* Told once each, within frame_ops.events(). `host`: the host's handle. May be NULL. */
	void (*event)(void *ctx, handle host, enum ipsec_event event);
	void *ctx;
};

/* REASON(name, word, sentence): why a frame was dropped, numbered behind the codecs' reasons. */
#define IPSEC_DROP_REASONS(REASON)                                                                \
	REASON(UNKNOWN_SPI, "unknown-spi",                                                        \
	       "No association has this SPI, destination and protocol.")                          \
	REASON(REPLAYED, "replayed", "The sequence number was received before, or is too old.")   \
	REASON(FORGED, "forged", "The integrity check value is wrong.")                           \
	REASON(EXPIRED, "expired", "The association has reached a hard limit.")                   \
	REASON(LEAVING, "leaving", "The association is being uploaded.")                          \
	REASON(FRAGMENT, "fragment", "A fragment of an ESP or AH packet.")                        \
	REASON(MODE, "mode", "What was inside is not what the association's mode allows.")        \
	REASON(DUMMY, "dummy", "A packet that says nothing (RFC 4303 2.6).")                      \
	REASON(SELECTOR, "selector", "What was inside is no traffic of the association.")         \
	REASON(CONGESTION, "congestion", "Marked CE outside while ECN is off inside (RFC 6040).") \
	REASON(UNPROTECTED, "unprotected", "Came in the clear; a policy wants it protected.")     \
	REASON(DISCARDED, "discarded", "A policy discards it.")                                   \
	REASON(NO_SA, "no-sa", "No association serves the policy that protects it.")              \
	REASON(SEQUENCE, "sequence", "The association's sequence numbers are used up.")           \
	REASON(TOO_LONG, "too-long", "Sealed, it would be longer than the MTU.")                  \
	REASON(NOT_SEALED, "not-sealed", "The cipher failed, or the payload was cut short.")      \
	REASON(UNREADABLE, "unreadable", "The device below emitted what cannot be read.")

enum ipsec_drop {
	IPSEC_DROP_FIRST = WIRE_REASONS,
	IPSEC_DROP_BEFORE = IPSEC_DROP_FIRST - 1,
#define REASON(name, word, sentence) IPSEC_DROP_##name,
	IPSEC_DROP_REASONS(REASON)
#undef REASON
		IPSEC_REASONS,
};

/* Of either kind; never NULL. */
const char *ipsec_reason_word(u32 reason);
const char *ipsec_reason_sentence(u32 reason);

struct ipsec_counters {
	u64 opened, sealed; /* packets */
	u64 bypassed_in, bypassed_out;
	u64 cut; /* superframes */
	u64 drops[IPSEC_REASONS];
};

struct ipsec;

/* Bytes of memory, 64-aligned. 0: the configuration makes no sense. */
size_t ipsec_bytes(const struct ipsec_config *config);

/* Lays a driver into `mem`, which must outlive it. -EINVAL; -ENOBUFS: the pool has too little. */
int ipsec_init(void *mem, const struct ipsec_config *config, struct ipsec **ret) MUST_CHECK;

/* Discards contexts, wipes its memory and gives back buffers. After ipsec_remove(). */
void ipsec_finish(struct ipsec *d);

/* Puts it in front of a device (offload/chain.h). The host then updates the paths that are
 * offloaded already, so that their MTU is lowered. -EINVAL. */
int ipsec_insert(struct ipsec *d, struct device *hook) MUST_CHECK;

/* Takes it out again. Frames that the device has emitted and that were not sealed yet are lost, as
 * on a wire. -EBUSY: a driver was inserted above, or a request is on its way. */
int ipsec_remove(struct ipsec *d) MUST_CHECK;

/* Policies in their order, the first that matches decides; none: bypass. -EINVAL: one makes no
 * sense; -ENOSPC; -EBUSY: a request is on its way (its path MTU was lowered by the old ones). */
int ipsec_set_policies(struct ipsec *d, const struct ipsec_policy *policies, u32 n) MUST_CHECK;

/*
 * Calls on associations. Each takes a list of schema ipsec_schema and writes a status into every
 * block before it returns 0. -E2BIG: too long a list. A list that breaks a rule of
 * block_list_check() has MALFORMED in the block that does.
 *
 *   offload  CONST, CACHED and DELEGATED; block->device is written. The newest association that
 *            serves a flow is the one that seals it. NO_SAS, NO_KEY, NO_FEATURE, SPI_IN_USE
 *   update   CACHED: new limits, a new key. Inbound, the old key is taken as well until the window
 *            has moved past the first packet of the new one. STALE_HANDLE, NO_KEY, BAD_STATE
 *   query    the classes that the block's flags name
 *   upload   DELEGATED; from then on it takes and makes no packet
 *   commit   after an upload: blocks with OK are freed, others go on as if nothing had happened
 */
int ipsec_sa_offload(struct ipsec *d, struct block_list *list) MUST_CHECK;
int ipsec_sa_update(struct ipsec *d, struct block_list *list) MUST_CHECK;
int ipsec_sa_query(struct ipsec *d, struct block_list *list) MUST_CHECK;
int ipsec_sa_upload(struct ipsec *d, struct block_list *list) MUST_CHECK;
void ipsec_sa_commit(struct ipsec *d, struct block_list *list);

/* By how many bytes protection lengthens a packet at most. `v6`: outer header, or the only one. */
u32 ipsec_overhead(u8 protocol, u8 mode, u8 suite, bool v6);

const struct ipsec_counters *ipsec_counters(const struct ipsec *d);

#endif

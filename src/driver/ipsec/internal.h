/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the files of the IPsec driver share. */
#ifndef DRIVER_IPSEC_INTERNAL_H
#define DRIVER_IPSEC_INTERNAL_H

#include "base/flowtab.h"
#include "base/slot.h"
#include "driver/ipsec/ipsec.h"
#include "driver/ipsec/replay.h"
#include "wire/ethernet.h"

enum {
	FLOW_CACHE = 1024,       /* flows whose association is remembered, a power of two */
	FLYING_MAX = 64,         /* requests on their way at once; more are refused as busy */
	INNER_FRAMES = 64,       /* asked for of the device below at once */
	PACKET_BYTES_MAX = 65536 /* of an IP packet, and room for its link header below */
	                   + 128,
};

enum sa_told {
	TOLD_SOFT = 1 << IPSEC_SOFT_EXPIRED,
	TOLD_HARD = 1 << IPSEC_HARD_EXPIRED,
	TOLD_SEQUENCE = 1 << IPSEC_SEQUENCE_USED_UP,
};

struct sa {
	struct ipsec_sa_state state;
	const struct cipher_shape *shape;
	struct cipher *cipher;
	struct cipher *previous; /* inbound, after a change of keys; NULL: none */
	u64 first_of_new; /* sequence number of the first packet of the new key, 0: none yet */
	u64 made_ns;      /* now - made_ns is its age */
	u64 order;        /* higher: newer */
	handle host;
	bool leaving; /* uploaded, not committed */
	u8 due;       /* events to be told: enum sa_told */
	u8 told;
};

/* Numbers of a packet that selectors look at. */
struct ipsec_flow {
	struct flow_key key;
	u8 protocol;
	bool opaque; /* ports are not there (fragments): any port may be meant */
};

struct flow_entry {
	struct ipsec_flow flow;
	u32 generation; /* of the tables when it was looked up; 0: empty */
	u32 sa;         /* NIL: none */
	u32 policy;     /* NIL: none */
};

/* A path that the device below has. */
struct path_note {
	handle device;
	struct ip_addr local, remote;
};

struct ipsec {
	struct device_chain chain; /* first: the pass tables go by it */
	struct ipsec_config config;
	struct hash_key hash;
	u64 now_ns;
	struct offload_request *flying[FLYING_MAX]; /* requests that have gone down */
	u32 n_flying;

	struct slots slots;
	struct sa *sa;
	struct flowtab by_spi;
	u64 last_order;
	u32 events_due;
	u64 expiry_ns; /* no association reaches a limit of age before */
	u8 *scratch;   /* of block_list_check() */

	struct slots path_slots;
	struct path_note *path;
	struct flowtab by_path;

	struct ipsec_policy *policy;
	u32 n_policies;
	u32 generation;
	struct flow_entry *cache;

	struct tx_batch inner; /* what the device below emitted */
	u32 inner_at;          /* the frame that is next */
	u32 inner_off;         /* payload bytes of it that were sealed already */
	u32 *lent;             /* buffers of sealed frames, `n_lent` of them with the caller */
	u32 n_lent;
	u32 lent_at;   /* frames in the caller's batch when the last flush returned */
	bool bypassed; /* that batch has frames of the device below as they came */
	u16 next_ip_id;
	u8 *packet; /* a received frame in one piece, where its buffers are many */
	u8 *backup; /* of what is deciphered, while there are two keys to try */

	struct ipsec_counters count;
};

/* -- policy.c ---------------------------------------------------------------------------------- */

/* What selectors look at, of the packet at `p` whose header was read. `len`: bytes that are there.
 * `out`: the packet leaves, so its source is local. */
void flow_of(const u8 *p, u32 len, const struct wire_ip *ip, bool out, struct ipsec_flow *ret);
bool selector_matches(const struct ipsec_selector *s, const struct ipsec_flow *flow);
struct ipsec_selector sa_selector(const struct ipsec_sa_state *s);
/* The first policy that matches, NIL: none. */
u32 policy_find(const struct ipsec *d, const struct ipsec_flow *flow);
/* The policy of a flow that leaves, and the association that serves it. */
const struct flow_entry *policy_out(struct ipsec *d, const struct ipsec_flow *flow);
/* Largest overhead of a policy that protects packets between two addresses, 0: none does. */
u32 policy_overhead(const struct ipsec *d, const struct ip_addr *local,
                    const struct ip_addr *remote);

/* -- calls.c ----------------------------------------------------------------------------------- */

u32 sa_hash(const struct ipsec *d, u32 spi, const struct ip_addr *dst, u8 protocol);
/* The inbound association, NULL: none. */
struct sa *sa_find(const struct ipsec *d, u32 spi, const struct ip_addr *dst, u8 protocol);
void sa_tell(struct ipsec *d, struct sa *sa, enum ipsec_event event);
bool sa_is_expired(const struct ipsec *d, const struct sa *sa);
/* Counts a packet against the limits. */
void sa_account(struct ipsec *d, struct sa *sa, u32 bytes);
void sa_timers(struct ipsec *d, u64 now_ns);
u32 sa_events(struct ipsec *d);
void sa_free(struct ipsec *d, u32 index);
/* The window has moved past all packets of the old key. */
void sa_forget_previous(struct ipsec *d, struct sa *sa);

/* -- paths.c ----------------------------------------------------------------------------------- */

void paths_lower(struct ipsec *d, struct offload_request *request);
void paths_raise(struct ipsec *d, struct offload_request *request);
void paths_note(struct ipsec *d, struct offload_request *request);
void paths_forget(struct ipsec *d, struct offload_request *request, bool with_ok);

/* -- input.c, output.c, text.c
 * ------------------------------------------------------------------------- */

void ipsec_input(void *device, struct rx_frame *frames, u32 n, u64 now_ns);
bool ipsec_flush(void *device, struct tx_batch *tx, u64 now_ns);

/* What both directions authenticate with a packet's own bytes. */
struct ipsec_text {
	struct cipher_text t;
	u8 head[WIRE_ESP_BYTES + 4]; /* ESP: SPI and number, extended in the middle for an AEAD */
	u8 ip[WIRE_IP4_BYTES_MAX];   /* AH: the IP header without what routers change */
	u8 ah[64];                   /* AH: the header without its ICV */
	u8 iv[CIPHER_IV_BYTES_MAX], icv[CIPHER_ICV_BYTES]; /* AH: what stands in its ICV field */
	u8 high[4]; /* of an extended number, where it follows the packet */
};

/* ESP: `esp` begins the header, IV and `len` bytes of text follow, then the ICV. */
void text_esp(struct ipsec_text *x, const struct sa *sa, u8 *esp, u32 len, u64 seq);
/* AH: `ip` bytes of header at p, then AH, `ah_bytes` of it, then `len` bytes. */
enum wire_reason text_ah(struct ipsec_text *x, const struct sa *sa, const u8 *ip, u32 ip_bytes,
                         u8 *ah, u32 ah_bytes, u32 len, u64 seq);

static inline u32 ah_icv_bytes(const struct cipher_shape *shape)
{
	return shape->iv_bytes + CIPHER_ICV_BYTES; /* RFC 4543 4: the IV is part of the field */
}

/* Writes length, protocol and, in IPv4, the checksum into an IP header of `bytes`. */
void ip_patch(u8 *ip, u32 bytes, u8 protocol, u32 payload);

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the files of the soft host share. Everything is named by index; lists are of indices. */
#ifndef HOST_SOFT_PRIV_H
#define HOST_SOFT_PRIV_H

#include "base/flowtab.h"
#include "base/prng.h"
#include "base/slot.h"
#include "host/soft/soft.h"
#include "wire/icmp.h"
#include "wire/parse.h"

enum {
	SOFT_ACKS = 64, /* ACKs that freezes owe, until the next flush */
	SOFT_EVENTS = 64,
	SOFT_PENDING = 3, /* frames that wait for one neighbor (RFC 4861 7.2.2: at least one) */
	SOFT_SCRATCH_BYTES = 65536 + WIRE_LINK_BYTES_MAX + 64,
	SOFT_HEADER_OFF = 2, /* so that IP is aligned */
	SOFT_ERRORS = 16,    /* ICMP errors about connections elsewhere, until the next turn */
	SOFT_DONE = 16,      /* reassembled segments, until the next turn */
	SOFT_HOP_LIMIT = 64,
};

/* The list that a connection is on. */
enum soft_conn_list {
	LIST_NONE,
	LIST_HALF,      /* half-open, oldest first */
	LIST_ACCEPT,    /* established, to be accepted */
	LIST_TIME_WAIT, /* the one that entered it first is first */
	CONN_LISTS,
};

struct soft_conn {
	struct ip_addr remote;
	u32 eng;   /* NIL: not in this engine */
	u32 route; /* NIL: gone */
	u32 events;
	u32 hash;
	u16 local_port, remote_port;
	bool frozen;
	bool opening;  /* SYN_SENT or SYN_RECEIVED, as far as events were taken */
	bool orphan;   /* soft_release() */
	bool in_flows; /* found by its addresses and ports */
	u8 list;       /* enum soft_conn_list */
	u8 soft_error; /* errno */
	u32 prev, next;
	u32 listener; /* NIL: we opened it, or it was accepted */
	u64 born_ns;
};

struct soft_listener {
	u16 port; /* 0: free */
	u8 cookies;
	u32 backlog, half_open;
	u32 n_ready, n_half;
	u64 cookie_ns; /* when the last cookie was sent; TIMER_STOPPED: never */
	struct tcp_cached settings;
};

struct soft_list {
	u32 head, tail, n;
};

struct soft_prefix {
	struct ip_addr prefix, gateway;
	u32 bits; /* of the mapped address */
	u32 mtu, port;
	bool on_link;
};

/* A path: what is known of a remote address. */
struct soft_route_entry {
	struct ip_addr remote;
	u32 neighbor;
	u32 path; /* the engine's */
	u32 mtu;
	u32 link_mtu; /* of the first hop */
	u32 conns;    /* that have it as theirs, here or elsewhere */
	bool used;    /* false: the entry is free */
	u64 used_ns;  /* last time it was asked for */
	u16 ip_id_start;
	bool by_caller;   /* soft_route(): never given up */
	bool mtu_changed; /* the host does not know yet */
	bool hop_changed; /* as well */
	/* RFC 4821 7.2, pmtu.c */
	u32 search_high;
	u64 raise_ns;    /* when search_high goes back to link_mtu */
	u64 hole_ns;     /* when a lowered MTU is too large too, unless something came through */
	u32 probe_bytes; /* 0: no probe on its way */
	u32 probe_conn;  /* ours */
	tcp_seq probe_seq, probe_end;
	u32 probe_cwnd;    /* when it was sent */
	u64 probe_ns;      /* not before */
	u32 candidate;     /* connection that made progress last, NIL: none */
	u32 candidate_gen; /* and its generation */
};

struct soft_neighbor_entry {
	struct ip_addr next_hop;
	struct mac_addr mac;
	u32 port;
	u32 eng;
	u8 state; /* enum soft_reach */
	bool taken;
	bool router;
	bool changed;     /* the host does not know the address yet, or waits for an answer */
	bool device_asks; /* soft_reachable() had no good answer */
	bool used;        /* something was sent since the last solicitation */
	bool dead;        /* it did not answer, and has not been heard of since */
	u8 solicits;      /* sent in this state */
	u64 at_ns;        /* when the state's time is over */
	u64 asked_ns;     /* last solicitation */
	struct soft_list pending;
};

/* A frame of our own. */
struct soft_packet {
	struct tx_frame f;
	u32 next;
};

/* How a datagram came. */
struct soft_arrival {
	struct mac_addr from;
	u16 port;
	u8 csum;    /* enum frame_csum */
	bool group; /* by link-layer multicast or broadcast */
};

struct soft_fragment {
	u32 buf; /* chain, the payload only */
	u16 off, len;
	u32 next;
};

struct soft_reassembly {
	struct ip_addr src, dst;
	u32 id;
	u8 version, protocol;
	u8 ecn; /* RFC 3168 5.3: bit set of the code points seen */
	bool taken, poisoned;
	bool has_first;
	u32 total; /* bytes of the datagram's payload, 0: the last one is not there yet */
	u32 have, n;
	u32 bytes; /* charged */
	u32 first; /* fragments by offset */
	u64 until_ns;
	u64 born;                    /* order of arrival */
	struct soft_arrival arrival; /* of the first fragment */
	struct wire_ip ip;
	u16 quote_bytes;
	u8 quote[128]; /* how it begins, for an ICMP error */
};

/* A bucket of tokens. */
struct soft_bucket {
	u64 at_ns;
	u32 tokens;
};

struct soft_icmp_error {
	struct flow_key flow;
	tcp_seq seq;
	u32 mtu;
	bool too_big;
	u8 error; /* errno, where it is advice */
};

struct soft {
	struct soft_config config; /* zeroes replaced by the defaults */
	struct tcp_engine *engine;
	struct buf_pool *pool;
	struct host *host; /* NULL: none attached */
	struct slots slots;
	struct soft_conn *conn;
	u32 *of_engine;          /* our index of each of the engine's connections */
	u32 *of_engine_neighbor; /* and neighbors */
	struct flowtab flows;
	struct soft_list conns[CONN_LISTS];
	struct soft_route_entry *route;
	struct soft_neighbor_entry *neighbor;
	struct soft_prefix *prefix;
	struct soft_listener *listener;
	u32 n_prefixes;
	u32 n_opening;
	struct soft_packet *packet;
	u32 packet_free;
	struct soft_list out;   /* frames of ours that can go */
	struct soft_list spent; /* those that went with a payload: until the port has it */
	struct soft_reassembly *reassembly;
	struct soft_fragment *fragment;
	u32 fragment_free;
	u32 reassembly_bytes;
	u32 n_reassemblies;
	u64 reassembly_born;
	struct rx_frame done[SOFT_DONE];
	u32 n_done;
	struct soft_icmp_error error[SOFT_ERRORS];
	u32 n_errors;
	struct soft_bucket icmp_bucket;
	bool has_iss; /* the next passive open begins with `iss` (RFC 6191) */
	tcp_seq iss;
	struct hash_key key; /* of cookies, port choice and the like */
	struct prng prng;
	u64 reachable_ns;    /* RFC 4861 6.3.2: as drawn */
	u64 reachable_at_ns; /* when */
	u64 defended_ns;
	u32 ip_id;           /* of fragments that we send */
	bool hops_dirty;     /* a path may have `hop_changed` */
	u32 neighbors_dirty; /* entries with `changed` */
	u32 routes_dirty;
	struct tx_frame acks[SOFT_ACKS];
	u32 n_acks;
	u32 fail_in[SOFT_FAULTS];
	u64 now_ns;
	u8 *scratch; /* SOFT_SCRATCH_BYTES: a datagram in one piece */
	struct soft_counters counters;
};

extern const struct backend_ops soft_backend_ops;

/* -- soft.c ------------------------------------------------------------------------------------ */

/* Takes what the engine has to say. */
void soft_collect(struct soft *s);
bool soft_is_local(const struct soft *s, const struct ip_addr *addr);
/* Our address of the family of `other`; NULL: we have none. */
const struct ip_addr *soft_local_for(const struct soft *s, const struct ip_addr *other);
/* One token, of `per_s` a second and ten at once; false: none left. */
bool soft_bucket_take(struct soft *s, struct soft_bucket *b, u32 per_s);

/* -- conn.c ------------------------------------------------------------------------------------ */

struct soft_conn *soft_find(const struct soft *s, u64 conn);
/* The connection of a flow, here or elsewhere; NULL. */
struct soft_conn *soft_find_flow(const struct soft *s, const struct flow_key *flow);
/* Names a connection that the engine has; SLOT_NO_HANDLE: no room. The engine's is freed then. */
u64 soft_add(struct soft *s, u32 route, u16 local_port, u16 remote_port, u32 eng);
/* Forgets it. What the engine has is freed. */
void soft_drop(struct soft *s, struct soft_conn *c);
void soft_list_add(struct soft *s, struct soft_conn *c, enum soft_conn_list list);
void soft_list_remove(struct soft *s, struct soft_conn *c);
struct tcp_open_params soft_open_params(const struct soft *s, u32 route, u16 local_port,
                                        u16 remote_port);
/* Ends it although the engine would go on: it counts as CLOSED from now on. */
void soft_end(struct soft *s, struct soft_conn *c, u32 events);
void soft_conn_event(struct soft *s, const struct tcp_event *e);

/* -- link.c: frames of our own ----------------------------------------------------------------- */

/* What a datagram of ours says. The upper layer's bytes are complete, checksum included. */
struct soft_datagram {
	struct ip_addr src, dst;
	u8 protocol;
	u8 hop_limit; /* 0: 64 */
	const u8 *bytes;
	u32 len;
};

/* Sends a datagram to where `dst` leads, in fragments where it must be. False: no route, or no
 * room; counted. */
bool soft_send_datagram(struct soft *s, const struct soft_datagram *d);
/* The same to a given address of the link; never in fragments. */
void soft_send_to_mac(struct soft *s, const struct soft_datagram *d, const struct mac_addr *mac,
                      u32 port);
/* A frame with any content, at most FRAME_HEADER_BYTES of it in all. */
void soft_send_raw(struct soft *s, const struct mac_addr *dst, u16 ethertype, const u8 *bytes,
                   u32 len, u32 port);
/* Moves what waits for a neighbor on, or drops it. */
void soft_pending_go(struct soft *s, struct soft_neighbor_entry *n);
void soft_pending_drop(struct soft *s, struct soft_neighbor_entry *n);
/* Frames of the engine from `from` on: those of unresolved neighbors are taken out. */
void soft_hold_back(struct soft *s, struct tx_batch *tx, u32 from);
/* What waits for the port, while there is room. */
void soft_link_flush(struct soft *s, struct tx_batch *tx);
/* The port has taken everything that was flushed before. */
void soft_link_taken(struct soft *s);

/* -- neigh.c ----------------------------------------------------------------------------------- */

struct soft_neighbor_entry *neighbor_find(const struct soft *s, const struct ip_addr *hop);
/* The entry of a next hop, made when there is none; NULL: no room. */
struct soft_neighbor_entry *neighbor_get(struct soft *s, const struct ip_addr *hop, u32 port);
/* The entry of one of the engine's. */
struct soft_neighbor_entry *neighbor_of_engine(const struct soft *s, u32 eng);
/* A frame is to go there: true, the address is known and may be used. */
bool neighbor_use(struct soft *s, struct soft_neighbor_entry *n);
/* What an answer says (RFC 4861 7.2.5). `mac` may be NULL. */
struct neighbor_answer {
	const struct mac_addr *mac;
	bool solicited, override, router;
};
void neighbor_answered(struct soft *s, struct soft_neighbor_entry *n,
                       const struct neighbor_answer *a);
/* Somebody asks and tells its own address by the way (RFC 4861 7.2.3, RFC 826). */
void neighbor_asks(struct soft *s, struct soft_neighbor_entry *n, const struct mac_addr *mac);
/* The upper layer makes progress through it; or it does not. */
void neighbor_confirm(struct soft *s, struct soft_neighbor_entry *n);
void neighbor_doubt(struct soft *s, struct soft_neighbor_entry *n);
void neighbor_timers(struct soft *s);
u64 neighbor_deadline(const struct soft *s);
struct neighbor_state neighbor_state_of(const struct soft *s, const struct soft_neighbor_entry *n);
/* One update of the host for each that changed. */
void neighbor_tell_host(struct soft *s);

/* -- arp.c, nd.c ------------------------------------------------------------------------------- */

void arp_input(struct soft *s, const u8 *p, u32 len, u32 port);
/* mac NULL: to all. */
void arp_ask(struct soft *s, const struct ip_addr *hop, const struct mac_addr *mac, u32 port);
void arp_announce(struct soft *s, const struct ip_addr *addr, u32 port);
void nd_input(struct soft *s, const struct wire_ip *ip, const u8 *p, u32 len, u32 port);
void nd_ask(struct soft *s, const struct ip_addr *hop, const struct mac_addr *mac, u32 port);
void nd_announce(struct soft *s, const struct ip_addr *addr, u32 port);

/* -- route.c ----------------------------------------------------------------------------------- */

struct soft_route_entry *soft_find_route(const struct soft *s, const struct ip_addr *remote);
/* The path to an address, made from the prefixes when there is none; NULL: no route, or no room. */
struct soft_route_entry *soft_way(struct soft *s, const struct ip_addr *remote);
u32 soft_route_index(const struct soft *s, const struct soft_route_entry *r);
/* Paths by this gateway, which does not answer, go by another one, if there is one (RFC
 * 1122 3.3.1.5); the host is told when that has an address. */
void route_leave(struct soft *s, const struct soft_neighbor_entry *dead);
void route_tell_host(struct soft *s);
/* Not the address of one other host: a group, a broadcast (that of a prefix on the link too), none,
 * a loopback or one of ours (RFC 1122 3.2.1.3, RFC 9293 3.9.2.3). */
bool soft_is_nobody(const struct soft *s, const struct ip_addr *addr);

/* -- pmtu.c ------------------------------------------------------------------------------------ */

void pmtu_init(struct soft *s, struct soft_route_entry *r);
/* A validated "too big" of RFC 1191, 8201 (mtu 0: an old router did not say). True: it is lower. */
bool pmtu_too_big(struct soft *s, struct soft_route_entry *r, u32 mtu);
/* Segments were sent again and again: perhaps they are too big. `queued` bytes wait for an ACK. */
void pmtu_stalled(struct soft *s, struct soft_route_entry *r, u32 queued);
void pmtu_progress(struct soft *s, struct soft_conn *c);
/* A frame of the engine leaves: does it repeat a probe? */
void pmtu_look(struct soft *s, const struct tx_frame *f);
/* Sends a probe where one is due. */
void pmtu_probe(struct soft *s, struct tx_batch *tx);
void pmtu_timers(struct soft *s);
u64 pmtu_deadline(const struct soft *s);
void pmtu_tell_host(struct soft *s);

/* -- input.c ----------------------------------------------------------------------------------- */

/* Frames as they come. The buffers become the engine's or are released. */
void soft_input(struct soft *s, struct rx_frame *frame);
/* `len` bytes of an IP datagram, which lie in `scratch` with room for a link header in front. */
void soft_ip_input(struct soft *s, u8 *p, u32 len, const struct soft_arrival *a);
/* `len` bytes in a fresh chain; NIL: no buffer. */
u32 soft_chain_of(struct soft *s, const u8 *bytes, u32 len);
/* Reassembled segments of connections elsewhere. */
void input_tell_host(struct soft *s);

/* -- ip6.c ------------------------------------------------------------------------------------- */

/* Walks the extension headers behind the fixed one (RFC 8200 4). True: *ip describes what they lead
 * to, or a fragment; false: the datagram is dropped, and it was said why. */
bool ip6_walk(struct soft *s, struct wire_ip *ip, const u8 *p, u32 len, u32 *ret_pointer);

/* -- reasm.c ----------------------------------------------------------------------------------- */

/* A fragment: `p` is its IP header, ip->header_bytes lead to what it carries. */
void reasm_input(struct soft *s, const struct wire_ip *ip, const u8 *p,
                 const struct soft_arrival *a);
void reasm_timers(struct soft *s);
u64 reasm_deadline(const struct soft *s);

/* -- icmp.c, icmp_out.c ------------------------------------------------------------------------ */

/* `p` lies in scratch. */
void icmp_input(struct soft *s, const struct wire_ip *ip, u8 *p, u32 len);
void icmp_tell_host(struct soft *s);
/* An error about the datagram `p`, of which `len` bytes are there, within the rules of RFC 1122
 * 3.2.2 and RFC 4443 2.4. */
struct icmp_about {
	u8 kind; /* enum wire_icmp_kind */
	u8 code;
	u32 pointer;   /* of a parameter problem */
	bool to_group; /* may be about a datagram to a group (RFC 4443 2.4 e.3) */
};
void icmp_error(struct soft *s, const struct wire_ip *ip, const u8 *p, u32 len,
                const struct icmp_about *about);

/* -- listen.c, cookie.c, timewait.c, reset.c --------------------------------------------------- */

struct soft_listener *soft_find_listener(const struct soft *s, u16 port);
/* What is no matter of the engine although it has the connection: true, the segment is dealt with
 * and dropped. */
bool listen_before(struct soft *s, const struct rx_frame *frame,
                   const struct wire_tcp_segment *seg);
bool time_wait_before(struct soft *s, const struct rx_frame *frame,
                      const struct wire_tcp_segment *seg);
/* A segment of no connection. */
enum listen_verdict {
	LISTEN_NOT, /* no listener's: a RST */
	LISTEN_DONE,
	LISTEN_AGAIN, /* there is a connection now: the engine takes the segment */
};
enum listen_verdict listen_input(struct soft *s, const struct rx_frame *frame,
                                 const struct wire_tcp_segment *seg);
void listen_timers(struct soft *s);
u64 listen_deadline(const struct soft *s);
void listen_established(struct soft *s, struct soft_conn *c);
void cookie_send(struct soft *s, struct soft_listener *l, const struct wire_tcp_segment *seg);
enum listen_verdict cookie_input(struct soft *s, struct soft_listener *l,
                                 const struct rx_frame *frame, const struct wire_tcp_segment *seg);
/* Frees the orphan that has been in TIME_WAIT for longest; false: none. */
bool time_wait_recycle(struct soft *s);
/* RFC 9293 3.5.2: the RST that a segment of no connection deserves, if any. */
void reset_for(struct soft *s, const struct rx_frame *frame, const struct wire_tcp_segment *seg);
bool soft_csum_ok(struct soft *s, const struct rx_frame *frame, const struct wire_tcp_segment *seg);
/* A segment of ours without payload, with checksum; the addresses are those of `seg`, turned. */
void soft_send_segment(struct soft *s, const struct wire_tcp_segment *seg, struct wire_tcp *tcp);

#endif

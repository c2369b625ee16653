/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The soft host: a host stack of our own, made of a TCP engine, so that the whole of a host can run
 * in a simulation or inside a program. It speaks ARP, neighbor discovery, ICMP and ICMPv6, puts
 * fragments together, discovers path MTUs, opens and accepts connections, answers for them, and
 * lets them be moved out and back (struct backend).
 *
 *   soft.c                     making one, the cycle, what the engine tells
 *   conn.c                     connections: the application's calls
 *   link.c, neigh.c, arp.c, nd.c   frames out, neighbors (RFC 826, 4861, 7048)
 *   route.c, pmtu.c            routes, paths, their MTU (RFC 1191, 8201, 4821)
 *   input.c, reasm.c, icmp.c, icmp_out.c   datagrams in (RFC 791, 8200, 5722, 792, 4443, 5927)
 *   listen.c, cookie.c, timewait.c, reset.c   what is not a connection yet, or not any more
 *   backend.c                  moves
 *
 * Sans-I/O like the core: time and memory are given. Payload lies in a pool that the caller gives,
 * the one that the port sends from.
 */
#ifndef HOST_SOFT_SOFT_H
#define HOST_SOFT_SOFT_H

#include "host/backend.h"
#include "host/host.h"
#include "tcp/engine.h"

struct soft;

struct soft_config {
	struct tcp_engine_config engine; /* sizes of its tables too */
	struct ip_addr local;            /* of either family */
	struct mac_addr mac;
	u32 max_listeners;
	struct tcp_cached settings; /* of new connections */
	u8 options;                 /* tcp_option_bits offered and accepted */
	u8 rcv_wscale;
	u16 mss;
	bool ip_id_confined; /* R61: use the host's half of the IP IDs of a path only */

	/* All that follows may be 0, which takes the value that is named. */
	struct ip_addr local_other; /* an address of the other family; none */
	bool own_mac_only;        /* take frames for our MAC address, broadcast and multicast only;
	                           * false: all, as a promiscuous port has them */
	u32 max_prefixes;         /* routes to prefixes; 16 */
	u32 max_packets;          /* frames of our own that wait for the port or a neighbor; 128 */
	u32 max_reassemblies;     /* datagrams whose fragments are not all there; 32 */
	u32 max_reassembly_bytes; /* of all of them; 256 KiB */
	u64 reassembly_ns;        /* 60 s (RFC 1122 3.3.2, RFC 8200 4.5) */
	u64 reachable_ns;         /* RFC 4861 10 REACHABLE_TIME; 30 s */
	u64 retrans_ns;           /* RETRANS_TIMER; 1 s */
	u64 delay_probe_ns;       /* DELAY_FIRST_PROBE_TIME; 5 s */
	u64 syn_received_ns;     /* a half-open connection is given up after; 63 s, five SYN-ACKs */
	u64 pmtu_raise_ns;       /* a lowered path MTU is doubted after (RFC 1191 6.3); 600 s */
	u32 icmp_per_s;          /* ICMP errors that we send (RFC 4443 2.4 f); 100 */
	bool plpmtud;            /* raise the path MTU by probes (RFC 4821), not at once */
	bool no_resets;          /* no RST for segments of no connection */
	bool rst_ends_time_wait; /* RFC 9293 3.10.7.4 to the letter, not RFC 1337's fix 1 */
};

/* Bytes that a soft host takes; 4096-aligned. */
size_t soft_bytes(const struct soft_config *config);

/* `mem` and `pool` are the caller's and must outlive it. */
struct soft *soft_init(void *mem, const struct soft_config *config, struct buf_pool *pool);

/* -- routes and neighbors ---------------------------------------------------------------------- */

/*
 * Every change that the protocols bring (a neighbor's MAC address, a path's MTU) becomes one update
 * of the host, however many connections depend on it; ICMP errors and reassembled segments of
 * connections that are not here go there too. What the caller itself changes by the calls below, it
 * tells the host itself.
 */
void soft_attach_host(struct soft *s, struct host *host);

/* Makes or changes a next hop whose address is never asked for. -ENOSPC. */
int soft_neighbor(struct soft *s, const struct ip_addr *next_hop, const struct mac_addr *mac,
                  u32 port);
/* Makes or changes the route to a remote address. -ENOENT: no such next hop; -ENOSPC. */
int soft_route(struct soft *s, const struct ip_addr *remote, const struct ip_addr *next_hop,
               u32 mtu);

/*
 * The route to a prefix: by `gateway`, or on the link where that is NULL. `len` counts bits of the
 * address's own family; the longest prefix wins, and of equal ones the first whose gateway answers.
 * Paths and neighbors come into being when they are used; a path whose gateway dies takes the next.
 * -ENOSPC, -EINVAL.
 */
int soft_prefix(struct soft *s, const struct ip_addr *prefix, u32 len,
                const struct ip_addr *gateway, u32 mtu, u32 port);
/* Tells the link of our addresses: gratuitous ARP (RFC 5227 3), unsolicited advertisement
 * (RFC 4861 7.2.6). */
void soft_announce(struct soft *s);

/* The states of RFC 4861 7.3.2 and RFC 7048 3. */
enum soft_reach {
	SOFT_NONE, /* no address known, nobody asks */
	SOFT_PERMANENT,
	SOFT_INCOMPLETE,
	SOFT_REACHABLE,
	SOFT_STALE,
	SOFT_DELAY,
	SOFT_PROBE,
	SOFT_UNREACHABLE,
};
struct soft_neighbor_info {
	u8 state; /* enum soft_reach */
	bool router;
	struct mac_addr mac;
	u32 pending; /* frames that wait for the address */
};
/* -ENOENT */
int soft_neighbor_info(const struct soft *s, const struct ip_addr *next_hop,
                       struct soft_neighbor_info *ret_info);
/* For struct host_env: the context is the soft host. False: it is being found out, and the host
 * gets an update once it is known. */
bool soft_reachable(void *soft, const struct neighbor_key *key);

struct soft_path_info {
	u32 mtu;         /* that segments are made for */
	u32 search_high; /* RFC 4821 7.2: not known to be too big */
	u32 probe_bytes; /* a probe of this size is on its way; 0: none */
};
/* -ENOENT */
int soft_path_info(const struct soft *s, const struct ip_addr *remote,
                   struct soft_path_info *ret_info);

/* What host.h knows them by. The state is filled in too when ret_state is not NULL. -ENOENT. */
int soft_path_key(const struct soft *s, const struct ip_addr *remote, struct path_key *ret_key);
int soft_neighbor_key(const struct soft *s, const struct ip_addr *next_hop,
                      struct neighbor_key *ret_key, struct neighbor_state *ret_state);

/* -- connections ------------------------------------------------------------------------------- */

enum soft_cookies {
	SOFT_COOKIES_FLOOD, /* once the queue of half-open connections is full */
	SOFT_COOKIES_NEVER,
	SOFT_COOKIES_ALWAYS,
};
struct soft_listen_params {
	u16 port;
	u8 cookies;    /* enum soft_cookies */
	u32 backlog;   /* connections that wait to be accepted; 0: no bound of its own */
	u32 half_open; /* in SYN_RECEIVED; 0: no bound of its own */
	const struct tcp_cached *settings; /* of its connections, copied; NULL: soft_config's */
};
/* -ENOSPC: too many listeners. -EADDRINUSE. */
int soft_listen_with(struct soft *s, const struct soft_listen_params *params);
int soft_listen(struct soft *s, u16 port);
/* RFC 9293 3.10.4 in LISTEN: half-open connections are forgotten, those that wait to be accepted
 * reset. -ENOENT. */
int soft_unlisten(struct soft *s, u16 port);
/* -ENOENT: no route; else as tcp_open(). The name is the one that struct move::conn carries.
 * local_port 0: one is chosen (RFC 6056 3.3.3); -EADDRNOTAVAIL: none is free. -ENETUNREACH: not the
 * address of one host, as a broadcast or a group. */
int soft_connect(struct soft *s, const struct ip_addr *remote, u16 remote_port, u16 local_port,
                 u64 *ret_conn) MUST_CHECK;
/* The next accepted connection that is established; false: none. */
bool soft_accept(struct soft *s, u64 *ret_conn);
/* Forgets a connection; what the engine still has of it is freed without a word to the peer. */
void soft_close(struct soft *s, u64 conn);
/*
 * The application will neither send nor receive: FIN after what is queued, and the connection frees
 * itself when it has ended, TIME_WAIT included. Bytes that nobody has read, or that arrive from now
 * on, are answered with a RST (RFC 1122 4.2.2.13). Only of a connection that is in this stack;
 * -ESTALE, -ENXIO.
 */
int soft_release(struct soft *s, u64 conn) MUST_CHECK;
/* errno of the last ICMP error that was no more than advice (RFC 1122 4.2.3.9); 0: none. */
int soft_error(const struct soft *s, u64 conn);
/* enum tcp_state_name; TCP_CLOSED when it is not in this stack (moved, or ended). */
u8 soft_state(const struct soft *s, u64 conn);
/* TCP_EV_ bits since the last call. */
u32 soft_take_events(struct soft *s, u64 conn);
/* DELEGATED and the rest, of a connection that is here; false: it is not. */
bool soft_look(struct soft *s, u64 conn, struct tcp_state *ret_state);

/* -- the cycle --------------------------------------------------------------------------------- */

void soft_set_time(struct soft *s, u64 now_ns);
void soft_timers(struct soft *s, u64 now_ns);
/* Collects what the engine has to say. */
void soft_events(struct soft *s);
/* True: something is left to be sent. */
bool soft_flush(struct soft *s, struct tx_batch *tx, u64 now_ns);
u64 soft_next_deadline(const struct soft *s);

/* Injects a failure for tests: the n-th call from now on of one step of a move fails (0: none). */
enum soft_fault {
	SOFT_FAULT_FREEZE,
	SOFT_FAULT_DETACH,
	SOFT_FAULT_IMPORT,
	SOFT_FAULTS,
};
void soft_fail(struct soft *s, enum soft_fault fault, u32 nth);

/* Sends an echo request; answers are counted. -ENOENT: no route; -ENOBUFS; -EMSGSIZE. */
int soft_ping(struct soft *s, const struct ip_addr *remote, u16 id, u16 seq, u32 bytes) MUST_CHECK;

#define SOFT_COUNTERS(COUNTER)                                                            \
	COUNTER(frames, "Frames injected.")                                               \
	COUNTER(strays, "Frames that nobody here wants.")                                 \
	COUNTER(not_taken, "Frames lost for want of a buffer.")                           \
	COUNTER(freezes, "Connections frozen for a move.")                                \
	COUNTER(thaws, "Connections that went on after a freeze.")                        \
	COUNTER(imports, "Connections taken back.")                                       \
	COUNTER(holds, "Calls of hold.")                                                  \
	COUNTER(fences, "Fences.")                                                        \
	COUNTER(bad_frames, "Frames that break a rule of their protocol.")                \
	COUNTER(packets_full, "Frames of our own dropped: too many wait for the port.")   \
	COUNTER(pending_dropped, "Frames dropped that waited for a neighbor's address.")  \
	COUNTER(solicits, "Neighbors asked: ARP requests and solicitations.")             \
	COUNTER(advertised, "Answers to neighbors.")                                      \
	COUNTER(neighbors_failed, "Neighbors that did not answer.")                       \
	COUNTER(neighbors_changed, "Neighbors whose address changed.")                    \
	COUNTER(address_conflicts, "Others that use our address (RFC 5227 2.4).")         \
	COUNTER(resets, "RSTs for segments of no connection.")                            \
	COUNTER(syn_dropped, "SYNs dropped: a listener's queue is full.")                 \
	COUNTER(accept_full, "ACKs of handshakes dropped: too many wait to be accepted.") \
	COUNTER(half_expired, "Half-open connections given up.")                          \
	COUNTER(cookies_sent, "SYN cookies sent.")                                        \
	COUNTER(cookies_ok, "Connections made from a SYN cookie.")                        \
	COUNTER(cookies_bad, "ACKs whose SYN cookie is wrong or too old.")                \
	COUNTER(time_wait_reused, "TIME_WAITs ended by a new SYN (RFC 6191).")            \
	COUNTER(time_wait_recycled, "TIME_WAITs ended for want of room.")                 \
	COUNTER(time_wait_rsts, "RSTs ignored in TIME_WAIT (RFC 1337).")                  \
	COUNTER(echo_requests, "Echo requests answered.")                                 \
	COUNTER(echo_replies, "Echo replies received.")                                   \
	COUNTER(icmp_out, "ICMP errors sent.")                                            \
	COUNTER(icmp_limited, "ICMP errors that the rate limit ate.")                     \
	COUNTER(icmp_errors, "ICMP errors received about segments of ours.")              \
	COUNTER(icmp_unproven, "ICMP errors ignored: nothing like it is on its way.")     \
	COUNTER(icmp_aborts, "Connections whose opening an ICMP error ended.")            \
	COUNTER(fragments, "Fragments received.")                                         \
	COUNTER(fragments_bad, "Fragments that break a rule.")                            \
	COUNTER(fragments_overlapping, "Datagrams dropped because fragments overlap.")    \
	COUNTER(fragments_tiny, "Fragments dropped that hide the transport header.")      \
	COUNTER(reassembled, "Datagrams put together.")                                   \
	COUNTER(reassembly_timeouts, "Datagrams given up after a while.")                 \
	COUNTER(reassembly_evicted, "Datagrams given up for want of room.")               \
	COUNTER(pmtu_lowered, "Path MTUs lowered by ICMP.")                               \
	COUNTER(pmtu_black_holes, "Path MTUs lowered because nothing comes through.")     \
	COUNTER(pmtu_probes, "Probes sent (RFC 4821).")                                   \
	COUNTER(pmtu_raised, "Path MTUs raised.")                                         \
	COUNTER(host_updates, "Changes that became updates of the host.")

struct soft_counters {
#define COUNTER(name, sentence) u64 name;
	SOFT_COUNTERS(COUNTER)
#undef COUNTER
};
const struct soft_counters *soft_counters(const struct soft *s);
const struct tcp_engine_counters *soft_engine_counters(const struct soft *s);
struct tcp_engine *soft_engine(struct soft *s);

/* The two views that a host takes. */
struct backend soft_backend(struct soft *s);
struct host_stack soft_stack(struct soft *s);

#endif

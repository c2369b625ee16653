/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Link aggregation control (IEEE 802.1AX-2014 6.4): the receive, periodic, selection, mux and
 * transmit machines of up to LACP_PORTS_MAX links that form one aggregate, and the marker
 * responder. The coupled mux machine (6.4.15): collecting and distributing begin together.
 *
 * One aggregate only: the team shows its host one interface. The links that lead to the partner of
 * the aggregate are selected; a link that leads elsewhere, or that may not be aggregated, is held
 * apart with a reason. The aggregate follows the link with the best port priority among those whose
 * partner is ready, and stays with its partner as long as one link there carries frames.
 *
 * Pure: time is the caller's, nothing is sent from here; lacp_transmit() says what is due. The
 * caller runs it in a thread that nothing blocks: a partner that hears nothing for three periods
 * takes the link out.
 */
#ifndef DRIVER_TEAM_LACP_H
#define DRIVER_TEAM_LACP_H

#include "wire/lacp.h"

enum { LACP_PORTS_MAX = 8 };

struct lacp_config {
	u16 system_priority; /* lower is better; 0: 32768 */
	struct mac_addr system;
	u16 key;     /* links of one key may be one aggregate */
	bool active; /* else passive: speaks when spoken to */
	bool fast;   /* wants to hear from its partner each second, else each 30 s */
	u32 ports;
	u16 port_priority[LACP_PORTS_MAX]; /* lower is better; 0: 32768 */
	u16 port_key[LACP_PORTS_MAX];      /* 0: key */
};

enum lacp_receive_state {
	LACP_RX_DISABLED, /* no carrier */
	LACP_RX_EXPIRED,
	LACP_RX_DEFAULTED, /* nobody answers */
	LACP_RX_CURRENT,
};

enum lacp_mux_state {
	LACP_MUX_DETACHED,
	LACP_MUX_WAITING,
	LACP_MUX_ATTACHED,
	LACP_MUX_UP, /* collecting and distributing */
};

/* Why a link carries nothing. */
enum lacp_why {
	LACP_UP,
	LACP_NO_CARRIER,
	LACP_NO_PARTNER,      /* no LACPDU came, or none in time */
	LACP_OTHER_PARTNER,   /* leads to another system or key than the aggregate */
	LACP_INDIVIDUAL,      /* the partner does not let it be aggregated */
	LACP_LOOPED,          /* leads back to this system */
	LACP_OTHER_KEY,       /* its own key is not the aggregate's */
	LACP_HELD,            /* by an administrator */
	LACP_NOT_YET,         /* selected, waiting */
	LACP_PARTNER_NOT_YET, /* attached, the partner is not in sync */
	LACP_WHYS,
};
const char *lacp_why_sentence(enum lacp_why why);

struct lacp_counters {
	u64 rx_pdus, rx_bad, rx_markers, tx_pdus, tx_markers;
	u64 expired; /* times that current_while ran out */
};

struct lacp_port {
	struct wire_lacp_info actor;   /* as sent */
	struct wire_lacp_info partner; /* operational: as received, or the defaults */
	u8 rx;                         /* enum lacp_receive_state */
	u8 mux;                        /* enum lacp_mux_state */
	u8 why;                        /* enum lacp_why */
	bool enabled;                  /* carrier */
	bool selected;
	bool ntt; /* need to transmit */
	bool held;
	bool marker_due;
	u64 current_while_ns; /* deadlines; UINT64_MAX: stopped */
	u64 periodic_ns;
	u64 wait_while_ns;
	u64 tx_window_ns; /* start of the second in which tx_in_window was counted */
	u32 tx_in_window;
	struct wire_marker marker; /* the response */
	struct lacp_counters counters;
};

struct lacp {
	struct lacp_config config;
	struct lacp_port port[LACP_PORTS_MAX];
	bool has_aggregate;
	u16 partner_key, partner_priority; /* of the aggregate */
	struct mac_addr partner;
	u32 changes; /* rises whenever a link begins or ends to carry frames */
};

/* The caller's memory; all links without carrier. */
void lacp_init(struct lacp *l, const struct lacp_config *config);

void lacp_carrier(struct lacp *l, u32 port, bool up, u64 now_ns);
/* What follows the Ethernet header of a slow-protocols frame. WIRE_OK, or why it was dropped. */
enum wire_reason lacp_receive(struct lacp *l, u32 port, const u8 *pdu, u32 len, u64 now_ns);
void lacp_timers(struct lacp *l, u64 now_ns);
/* When lacp_timers() or lacp_transmit() has something to do; UINT64_MAX: never. */
u64 lacp_next_ns(const struct lacp *l);

/* What a link must send now: WIRE_SLOW_BYTES into `to`, or 0. Call until 0. */
u32 lacp_transmit(struct lacp *l, u32 port, u8 *to, u64 now_ns);

/* The link carries frames, both ways. */
static inline bool lacp_is_up(const struct lacp *l, u32 port)
{
	return l->port[port].mux == LACP_MUX_UP;
}

/* An administrator's order: the link is taken out of the aggregate, or may come back. */
void lacp_hold(struct lacp *l, u32 port, bool held, u64 now_ns);

#endif

// SPDX-License-Identifier: BSD-2-Clause-Patent
#include "linux/reasons.h"

#include "linux/sockstate.h"

enum {
	PROTOCOL_TCP = 6,
	PROTOCOL_MPTCP = 262,
	ECN_ACCURATE = 1 << 4, /* TCP_ECN_MODE_ACCECN */
	CA_OPEN = 0,
	CA_CWR = 2, /* congestion window being reduced, nothing missing */
};

static bool state_moves(u8 kernel_state)
{
	switch (sock_state_name(kernel_state)) {
	case TCP_ESTABLISHED:
	case TCP_FIN_WAIT_1:
	case TCP_FIN_WAIT_2:
	case TCP_CLOSE_WAIT:
	case TCP_CLOSING:
	case TCP_LAST_ACK:
		return true;
	default:
		return false;
	}
}

/* In the order in which they are told: what can never move before what may move later. */
static const struct {
	u32 fact;
	u16 status;
} refusals[] = {
	{EXPORT_MPTCP, STATUS_MPTCP},
	{EXPORT_SOCKMAP, STATUS_SOCKMAP}, /* has a ULP of its own, so before it */
	{EXPORT_ULP, STATUS_ULP},
	{EXPORT_SIGNED, STATUS_TCP_SIGNED},
	{EXPORT_TRANSPARENT, STATUS_TPROXY},
	{EXPORT_IP_OPTIONS, STATUS_IP_OPTIONS},
	{EXPORT_XFRM, STATUS_XFRM},
	{EXPORT_LOOPBACK, STATUS_LOOPBACK},
	{EXPORT_CGROUP_BPF, STATUS_SHAPED},
	{EXPORT_ZERO_COPY, STATUS_ZERO_COPY},
	{EXPORT_URGENT, STATUS_URGENT},
	{EXPORT_WAITERS, STATUS_IN_USE},
};

enum status reasons_socket(const struct sock_export *e, bool frozen, u64 *ret_detail)
{
	if (e->protocol == PROTOCOL_MPTCP)
		return STATUS_MPTCP;
	if (e->protocol != PROTOCOL_TCP)
		return STATUS_NOT_TCP;
	if (!state_moves(e->state)) {
		*ret_detail = sock_state_name(e->state);
		return STATUS_NOT_ESTABLISHED;
	}
	for (u32 i = 0; i < ARRAY_SIZE(refusals); i++)
		if (e->facts & refusals[i].fact)
			return (enum status)refusals[i].status;
	if (e->ecn_flags & ECN_ACCURATE)
		return STATUS_ACCURATE_ECN;
	if (e->error_queue) {
		*ret_detail = e->error_queue;
		return STATUS_ERROR_QUEUE;
	}
	if (!frozen && (e->facts & EXPORT_IN_REPAIR))
		return STATUS_IN_USE;
	return STATUS_OK;
}

bool reasons_unquiet(const struct sock_export *e)
{
	return (e->facts & EXPORT_OUT_OF_ORDER) ||
	       (e->ca_state != CA_OPEN && e->ca_state != CA_CWR);
}

bool reasons_qdisc_plain(const char name[8])
{
	static const char *const plain[] = {"",   "noqueue", "pfifo_f", "pfifo",
	                                    "mq", "fq_code", "fq",      "noop"};

	for (u32 i = 0; i < ARRAY_SIZE(plain); i++)
		if (!strncmp(name, plain[i], 7))
			return true;
	return false;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Delivery-rate samples (draft-cheng-iccrg-delivery-rate-estimation 3): how fast the network
 * delivered, seen by one ACK, from the record of what was sent last of all that it delivered
 * (sent.h). For congestion controls that keep a model of the path; the others cost nothing here.
 */
#ifndef TCP_RATE_H
#define TCP_RATE_H

#include "tcp/sent.h"

/* What a model is told of an ACK. */
struct rate_sample {
	u64 now_ns;
	u64 rate;   /* bytes a second, 0: no sample */
	u64 rtt_ns; /* measured by this ACK, 0: not */
	u32 acked;  /* bytes delivered by it */
	u32 lost;   /* bytes found lost by it */
	u32 flight; /* bytes in the network now, and before it */
	u32 flight_before;
	u32 delivered;       /* C.delivered, this ACK's included */
	u32 prior_delivered; /* C.delivered when what it is for was sent, with `rate` */
	bool app_limited;    /* with `rate`: it was sent when there was not enough to send */
};

/* After sent_account(), with the times of before it: fills in rate, prior_delivered, app_limited.
 * Needs delivered and now_ns. */
void rate_measure(const struct tcp_conn *c, const struct sent_delivery *d, struct rate_sample *s);

/* Nothing more goes out, and neither cwnd nor pacing is why (3.4): what is in flight from now on
 * says less about the path than it could. */
void rate_lacks_data(struct tcp_engine *e, struct tcp_conn *c);

#endif

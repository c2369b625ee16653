/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Sequence numbers of an association: the 64-bit number behind the 32 bits of a packet (RFC 4303
 * appendix A2.2), and the window of 1,024 that finds what was replayed (3.4.3).
 */
#ifndef DRIVER_IPSEC_REPLAY_H
#define DRIVER_IPSEC_REPLAY_H

#include "driver/ipsec/sa.h"

/*
 * The whole number of a packet, by the highest received so far and the window below it. 0, which
 * no packet has, when there can be none: it would lie before the first packet.
 */
static inline u64 replay_extend(u64 top, u32 low, bool esn)
{
	u32 edge = (u32)top - (IPSEC_WINDOW - 1); /* lowest of the window, modulo 2^32 */
	u64 high = top >> 32;

	if (!esn)
		return low;
	if ((u32)top >= IPSEC_WINDOW - 1) /* the window lies within one span of 2^32 */
		return (low >= edge ? high : high + 1) << 32 | low;
	if (low < edge) /* it reaches into the span before, and the number does not */
		return high << 32 | low;
	return high ? (high - 1) << 32 | low : 0;
}

static inline bool replay_is_fresh(const u64 *window, u64 top, u64 seq)
{
	if (!seq)
		return false;
	if (seq > top)
		return true;
	if (top - seq >= IPSEC_WINDOW)
		return false;
	return !(window[seq / 64 % IPSEC_WINDOW_WORDS] >> seq % 64 & 1);
}

/* Only for what is fresh and authentic. */
static inline void replay_mark(u64 *window, u64 *top, u64 seq)
{
	if (seq > *top) {
		if (seq - *top >= IPSEC_WINDOW) {
			memset(window, 0, IPSEC_WINDOW_WORDS * sizeof(*window));
		} else {
			for (u64 i = *top + 1; i < seq; i++)
				window[i / 64 % IPSEC_WINDOW_WORDS] &= ~(1ull << i % 64);
		}
		*top = seq;
	}
	window[seq / 64 % IPSEC_WINDOW_WORDS] |= 1ull << seq % 64;
}

#endif

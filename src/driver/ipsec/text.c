/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What is authenticated with a packet, in the order that each suite wants. */
#include "driver/ipsec/internal.h"

#include "base/csum.h"

void text_esp(struct ipsec_text *x, const struct sa *sa, u8 *esp, u32 len, u64 seq)
{
	u8 *data = esp + WIRE_ESP_BYTES + sa->shape->iv_bytes;
	u32 head = WIRE_ESP_BYTES;

	memcpy(x->head, esp, WIRE_ESP_BYTES);
	x->t = (struct cipher_text){
		.before = {{x->head, 0}},
		.n_before = 1,
		.iv = esp + WIRE_ESP_BYTES,
		.data = data,
		.len = len,
		.icv = data + len,
		.nonce = seq,
	};
	if (sa->state.esn && sa->shape->aead) { /* RFC 4106 5 */
		memcpy(x->head + 8, esp + 4, 4);
		wire_put32(x->head + 4, (u32)(seq >> 32));
		head += 4;
	} else if (sa->state.esn) { /* RFC 4303 2.2.1 */
		wire_put32(x->high, (u32)(seq >> 32));
		x->t.after = (struct cipher_piece){x->high, sizeof(x->high)};
	}
	x->t.before[0].len = head;
}

enum wire_reason text_ah(struct ipsec_text *x, const struct sa *sa, const u8 *ip, u32 ip_bytes,
                         u8 *ah, u32 ah_bytes, u32 len, u64 seq)
{
	enum wire_reason reason;
	u32 iv = sa->shape->iv_bytes;

	memcpy(x->ip, ip, ip_bytes);
	reason = wire_ah_zero_mutable(x->ip, ip_bytes);
	if (reason)
		return reason;
	/* The ICV field, in which GMAC has its IV too, counts as zeros; padding as it is. */
	memcpy(x->ah, ah, ah_bytes);
	memcpy(x->iv, ah + WIRE_AH_BYTES, iv);
	memcpy(x->icv, ah + WIRE_AH_BYTES + iv, CIPHER_ICV_BYTES);
	memset(x->ah + WIRE_AH_BYTES, 0, ah_icv_bytes(sa->shape));
	x->t = (struct cipher_text){
		.before = {{x->ip, ip_bytes}, {x->ah, ah_bytes}},
		.n_before = 2,
		.iv = x->iv,
		.data = ah + ah_bytes,
		.len = len,
		.icv = x->icv,
		.nonce = seq,
	};
	if (sa->state.esn) {
		wire_put32(x->high, (u32)(seq >> 32));
		x->t.after = (struct cipher_piece){x->high, sizeof(x->high)};
	}
	return WIRE_OK;
}

void ip_patch(u8 *ip, u32 bytes, u8 protocol, u32 payload)
{
	be16 sum;

	if (ip[0] >> 4 == 6) {
		wire_put16(ip + WIRE_IP6_LENGTH_OFF, (u16)(bytes - WIRE_IP6_BYTES + payload));
		ip[6] = protocol;
		return;
	}
	wire_put16(ip + WIRE_IP4_LENGTH_OFF, (u16)(bytes + payload));
	ip[9] = protocol;
	wire_put16(ip + WIRE_IP4_CSUM_OFF, 0);
	sum = csum_finish(csum_bytes(0, ip, bytes));
	memcpy(ip + WIRE_IP4_CSUM_OFF, &sum, sizeof(sum));
}

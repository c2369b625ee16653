/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "driver/ipsec/sa.h"

static const struct schema_field fields[] = {
#define VAR(cls_, type_, name_, unit_, source_)                   \
	{                                                         \
		.name = #name_,                                   \
		.unit = unit_,                                    \
		.source = source_,                                \
		.offset = offsetof(struct ipsec_sa_state, name_), \
		.size = sizeof(state_t_##type_),                  \
		.type = SCHEMA_TYPE_##type_,                      \
		.cls = CLASS_##cls_,                              \
		.layer = LAYER_SA,                                \
	},
#include "driver/ipsec/sa.def"
#undef VAR
};

enum field_number {
#define VAR(cls, type, name, unit, source) FIELD_##name,
#include "driver/ipsec/sa.def"
#undef VAR
	FIELDS,
};

static bool one_family(const struct ip_addr *a, const struct ip_addr *b)
{
	return ip_addr_is_v4(a) == ip_addr_is_v4(b);
}

static u32 address_bits(const struct ip_addr *a)
{
	return ip_addr_is_v4(a) ? 32 : 128;
}

static const char *check_const(const struct ipsec_sa_state *s)
{
	const struct cipher_shape *shape = cipher_shape(s->suite);

	if (s->spi < 256)
		return "spi is below 256, which is reserved.";
	if (s->protocol != WIRE_IPPROTO_ESP && s->protocol != WIRE_IPPROTO_AH)
		return "protocol is neither ESP nor AH.";
	if (s->mode >= IPSEC_MODES || s->direction >= IPSEC_DIRECTIONS || s->esn > 1)
		return "mode, direction or esn is out of range.";
	if (!shape)
		return "suite is unknown.";
	if (s->protocol == WIRE_IPPROTO_AH && shape->enciphers)
		return "AH does not encipher.";
	if (s->protocol == WIRE_IPPROTO_ESP && s->suite == CIPHER_AES_128_GMAC)
		return "GMAC is offered for AH only.";
	if (!one_family(&s->local, &s->remote) || !one_family(&s->inner_local, &s->inner_remote))
		return "A pair of addresses is of different families.";
	if (s->mode == IPSEC_TRANSPORT && !one_family(&s->local, &s->inner_local))
		return "Transport mode cannot change the family.";
	if (s->inner_local_bits > address_bits(&s->inner_local) ||
	    s->inner_remote_bits > address_bits(&s->inner_remote))
		return "A prefix is longer than its address.";
	return NULL;
}

const char *ipsec_sa_check(const struct ipsec_sa_state *s, u32 classes)
{
	const char *fault = classes & BLOCK_CONST ? check_const(s) : NULL;

	if (fault)
		return fault;
	if (classes & BLOCK_CACHED && !s->key)
		return "key is 0, which is no key's number.";
	if (classes & BLOCK_CONST && classes & BLOCK_CACHED && s->mode == IPSEC_TUNNEL &&
	    s->direction == IPSEC_OUT && !s->hop_limit)
		return "hop_limit is 0.";
	if (classes & BLOCK_CONST && classes & BLOCK_DELEGATED && !s->esn && s->seq > UINT32_MAX)
		return "seq is above 32 bits without esn.";
	return NULL;
}

static const char *check(const void *state, u32 classes)
{
	return ipsec_sa_check(state, classes);
}

static const struct schema_layer sa_layer = {
	.name = "sa",
	.fields = fields,
	.first = {0, FIELD_key, FIELD_seq, FIELDS},
	.state_bytes = sizeof(struct ipsec_sa_state),
	.check = check,
};

/* Associations could be nested; the driver takes roots only. */
const struct schema ipsec_schema = {.layer = {&sa_layer, &sa_layer, &sa_layer}};

struct ipsec_sa_state *block_sa(const struct block_list *list, const struct block *b)
{
	return b->state == NIL ? NULL : block_list_state(list, LAYER_SA, b->state);
}

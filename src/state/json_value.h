/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The composite values of a block list's JSON (state/json.h). What cannot be is DECODE_VALUE or
 * DECODE_SYNTAX of the reader; the output is then of no use, but never out of range. */
#ifndef STATE_JSON_VALUE_H
#define STATE_JSON_VALUE_H

#include "state/block.h"
#include "state/json_in.h"

/* "0x0000000100000007" */
handle json_value_handle(struct json_in *in);

/* "02:00:00:00:00:01" */
void json_value_mac(struct json_in *in, struct mac_addr *ret);

/* "10.0.0.1", "2001:db8::1" (RFC 4291 2.2, forms 1 and 2) */
void json_value_ip(struct json_in *in, struct ip_addr *ret);

/* The bytes that `hex` names; at most `room`, whose first hex.len / 2 are written. */
void json_value_hex(struct json_in *in, struct json_str hex, u8 *ret, size_t room);

void json_value_vlans(struct json_in *in, struct vlan_stack *ret);
void json_value_ranges(struct json_in *in, struct seq_ranges *ret);
void json_value_cc(struct json_in *in, struct cc_private *ret);

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Block lists as JSON: for people, scripts and files. The same in both directions (R67, R110).
 *
 *   {"chimney":"blocks","version":1,"blocks":[BLOCK, ...]}
 *
 * BLOCK is an object:
 *   "layer"       "neighbor", "path", "tcp"
 *   "status"      word of the status (state/status.def)
 *   "host"        handle as "0x" and 16 hexadecimal digits; "device" likewise
 *   "detail"      number
 *   "reparent"    true; only there when set
 *   "inserts"     array of {"kind","bytes"}, bytes in hexadecimal; only there when not empty
 *   "state"       an object with the classes that are filled in, "const", "cached", "delegated",
 *                 each an object with all variables of the class by name; not there when the block
 *                 has no state
 *   "dependents"  array of BLOCK, one layer up; not there when empty
 *
 * Numbers are integers; UINT64_MAX of a 64-bit variable (a stopped timer) is null, and other
 * values from 2^53 on are in quotes, because many readers are not exact there. Addresses are
 * written the usual way. A VLAN stack is an array of numbers, ranges are an array of [start, end],
 * the congestion control's own is {"type","version","bytes"}, payload is a string of hexadecimal
 * digits, an out-of-order segment is {"seq","fin","data"}.
 */
#ifndef STATE_JSON_H
#define STATE_JSON_H

#include "state/block.h"
#include "state/decode.h"

enum { JSON_VERSION = 1 };

/* Takes the next piece of the text, not terminated. 0, or a negative value that stops the writer.
 */
typedef int (*json_sink)(void *context, const char *text, size_t len);

/*
 * Writes a list piece by piece; needs memory for one line only. The list must have passed
 * block_list_check() of some call (links without cycles, flags without a state do not occur).
 * Returns 0, what the sink returned, or -EINVAL: a count or a chain is broken.
 */
int json_write_list(const struct block_list *list, json_sink sink, void *context) MUST_CHECK;

/*
 * Reads such a text. `list` is empty, its schema is the one expected, its pool takes the payload.
 * Members may come in any order, "chimney" and "version" before "blocks"; of a block only "layer"
 * must be there, of a class every variable. Untrusted input: total on any bytes, time linear in
 * `size`. Check the result before use: block_list_check().
 *
 * On failure the list is empty, no buffer is held, and *ret_error (may be NULL) says why and where.
 * Returns 0 or -EBADMSG.
 */
int json_read_list(struct block_list *list, const u8 *data, size_t size,
                   struct decode_error *ret_error) MUST_CHECK;

#endif

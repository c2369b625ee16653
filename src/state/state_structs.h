/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* struct <layer>_<class> for every layer and class of the schema. Included by state/state.h only.
 */
#define FIELD_NEIGHBOR_CONST(t, n)
#define FIELD_NEIGHBOR_CACHED(t, n)
#define FIELD_NEIGHBOR_DELEGATED(t, n)
#define FIELD_PATH_CONST(t, n)
#define FIELD_PATH_CACHED(t, n)
#define FIELD_PATH_DELEGATED(t, n)
#define FIELD_TCP_CONST(t, n)
#define FIELD_TCP_CACHED(t, n)
#define FIELD_TCP_DELEGATED(t, n)
#define FIELD(t, n)                               state_t_##t n;
#define VAR(layer, cls, type, name, unit, source) FIELD_##layer##_##cls(type, name)

#undef FIELD_NEIGHBOR_CONST
#define FIELD_NEIGHBOR_CONST FIELD
struct neighbor_const {
#include "state/schema.def"
};
#undef FIELD_NEIGHBOR_CONST
#define FIELD_NEIGHBOR_CONST(t, n)

#undef FIELD_NEIGHBOR_CACHED
#define FIELD_NEIGHBOR_CACHED FIELD
struct neighbor_cached {
#include "state/schema.def"
};
#undef FIELD_NEIGHBOR_CACHED
#define FIELD_NEIGHBOR_CACHED(t, n)

#undef FIELD_NEIGHBOR_DELEGATED
#define FIELD_NEIGHBOR_DELEGATED FIELD
struct neighbor_delegated {
#include "state/schema.def"
};
#undef FIELD_NEIGHBOR_DELEGATED
#define FIELD_NEIGHBOR_DELEGATED(t, n)

#undef FIELD_PATH_CONST
#define FIELD_PATH_CONST FIELD
struct path_const {
#include "state/schema.def"
};
#undef FIELD_PATH_CONST
#define FIELD_PATH_CONST(t, n)

#undef FIELD_PATH_CACHED
#define FIELD_PATH_CACHED FIELD
struct path_cached {
#include "state/schema.def"
};
#undef FIELD_PATH_CACHED
#define FIELD_PATH_CACHED(t, n)

#undef FIELD_PATH_DELEGATED
#define FIELD_PATH_DELEGATED FIELD
struct path_delegated {
#include "state/schema.def"
};
#undef FIELD_PATH_DELEGATED
#define FIELD_PATH_DELEGATED(t, n)

#undef FIELD_TCP_CONST
#define FIELD_TCP_CONST FIELD
struct tcp_const {
#include "state/schema.def"
};
#undef FIELD_TCP_CONST
#define FIELD_TCP_CONST(t, n)

#undef FIELD_TCP_CACHED
#define FIELD_TCP_CACHED FIELD
struct tcp_cached {
#include "state/schema.def"
};
#undef FIELD_TCP_CACHED
#define FIELD_TCP_CACHED(t, n)

#undef FIELD_TCP_DELEGATED
#define FIELD_TCP_DELEGATED FIELD
struct tcp_delegated {
#include "state/schema.def"
};
#undef FIELD_TCP_DELEGATED
#define FIELD_TCP_DELEGATED(t, n)

#undef VAR
#undef FIELD
#undef FIELD_NEIGHBOR_CONST
#undef FIELD_NEIGHBOR_CACHED
#undef FIELD_NEIGHBOR_DELEGATED
#undef FIELD_PATH_CONST
#undef FIELD_PATH_CACHED
#undef FIELD_PATH_DELEGATED
#undef FIELD_TCP_CONST
#undef FIELD_TCP_CACHED
#undef FIELD_TCP_DELEGATED

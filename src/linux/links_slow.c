// SPDX-License-Identifier: BSD-2-Clause-Patent
#include "linux/links_slow.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/if_packet.h>

#include "wire/nd.h"

enum { FRAMES_AT_ONCE = 64, IP6_NEXT_HEADER = 6 };

static int join(struct link_socket *s, const struct mac_addr *group)
{
	struct packet_mreq m = {.mr_ifindex = (int)s->ifindex,
	                        .mr_type = PACKET_MR_MULTICAST,
	                        .mr_alen = sizeof(*group)};

	memcpy(m.mr_address, group->b, sizeof(*group));
	return setsockopt(s->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof(m)) ? -errno : 0;
}

static int bind_to(struct link_socket *s)
{
	struct sockaddr_ll ll = {.sll_family = AF_PACKET,
	                         .sll_protocol = cpu_to_be16(s->ethertype),
	                         .sll_ifindex = (int)s->ifindex};
	socklen_t len = sizeof(ll);

	if (bind(s->fd, (struct sockaddr *)&ll, sizeof(ll)) ||
	    getsockname(s->fd, (struct sockaddr *)&ll, &len))
		return -errno;
	if (ll.sll_halen != sizeof(s->mac))
		return -EPROTONOSUPPORT;
	memcpy(s->mac.b, ll.sll_addr, sizeof(s->mac));
	return 0;
}

int link_socket_open(struct link_socket *s, u32 ifindex, u16 ethertype,
                     const struct mac_addr *group)
{
	int err;

	*s = (struct link_socket){.ifindex = ifindex, .ethertype = ethertype};
	/* Of no protocol until it is bound: else it would hear all links in between. */
	s->fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0)
		return -errno;
	err = bind_to(s);
	if (!err && group)
		err = join(s, group);
	if (err)
		link_socket_close(s);
	return err;
}

int link_socket_only_advertisements(struct link_socket *s)
{
	/* A packet socket without link header: the program sees the IPv6 header first. */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, IP6_NEXT_HEADER),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, WIRE_IPPROTO_ICMP6, 0, 3),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, WIRE_IP6_BYTES),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, WIRE_ND_ADVERTISEMENT, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {.len = ARRAY_SIZE(code), .filter = code};

	return setsockopt(s->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) ? -errno
	                                                                                  : 0;
}

void link_socket_close(struct link_socket *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

int link_socket_send(struct link_socket *s, const struct mac_addr *to, const u8 *p, u32 len)
{
	struct sockaddr_ll ll = {.sll_family = AF_PACKET,
	                         .sll_protocol = cpu_to_be16(s->ethertype),
	                         .sll_ifindex = (int)s->ifindex,
	                         .sll_halen = sizeof(*to)};

	memcpy(ll.sll_addr, to->b, sizeof(*to));
	return sendto(s->fd, p, len, MSG_DONTWAIT, (struct sockaddr *)&ll, sizeof(ll)) < 0 ? -errno
	                                                                                   : 0;
}

u32 link_socket_receive(struct link_socket *s, u8 *to, u32 cap)
{
	/* An error is that of a link that went down: told once, then there may be frames. What we
	 * send ourselves comes back here too. Bounded, so that one link keeps no other waiting. */
	for (u32 i = 0; i < FRAMES_AT_ONCE; i++) {
		struct sockaddr_ll from;
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(s->fd, to, cap, MSG_DONTWAIT, (struct sockaddr *)&from, &len);

		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n > 0 && from.sll_pkttype != PACKET_OUTGOING)
			return (u32)n;
	}
	return 0;
}

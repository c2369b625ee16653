// SPDX-License-Identifier: BSD-2-Clause-Patent
#include "linux/programs.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/cc.skel.h"
#include "bpf/export.skel.h"

/* Newer than the headers of the oldest system that chimney builds on. */
#define MAP_FLAG_LINK     (1u << 13) /* BPF_F_LINK */
#define ATTACH_STRUCT_OPS 44         /* BPF_STRUCT_OPS */

struct programs {
	struct export_bpf *export;
	struct bpf_link *export_link;
	struct bpf_object *cc;
	struct bpf_link *cc_link; /* without BPF_F_LINK on old kernels: destroyed by programs_put */
	int cc_link_fd;
	void *cc_elf;
	struct cc_restore *restore;
	pthread_mutex_t lock;
	char cc_name[16];
};

static struct programs shared;
static unsigned int shared_users;
static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	if (!getenv("CHIMNEY_BPF_DEBUG"))
		return 0;
	return vfprintf(stderr, format, args);
}

static int cgroup_root_open(void)
{
	FILE *mounts = setmntent("/proc/self/mounts", "r");
	struct mntent *m;
	int fd = -ENOENT;

	if (!mounts)
		return -errno;
	while ((m = getmntent(mounts)) != NULL) {
		if (strcmp(m->mnt_type, "cgroup2") != 0)
			continue;
		fd = open(m->mnt_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		fd = fd < 0 ? -errno : fd;
		break;
	}
	endmntent(mounts);
	return fd;
}

static int export_start(struct programs *p)
{
	int cgroup = cgroup_root_open(), err = 0;

	if (cgroup < 0)
		return cgroup;
	p->export = export_bpf__open_and_load();
	if (!p->export) {
		err = -errno;
		goto out;
	}
	p->export_link = bpf_program__attach_cgroup(p->export->progs.export_sock, cgroup);
	if (!p->export_link)
		err = -errno;
out:
	close(cgroup);
	return err;
}

/* The ELF image with the placeholder name replaced: the name is part of the object's data, and
 * this libbpf has no other way to set it at run time. */
static int cc_elf_named(struct programs *p, size_t *ret_len)
{
	const void *elf = cc_bpf__elf_bytes(ret_len);
	const char *place;

	p->cc_elf = malloc(*ret_len);
	if (!p->cc_elf)
		return -ENOMEM;
	memcpy(p->cc_elf, elf, *ret_len);
	snprintf(p->cc_name, sizeof(p->cc_name), "chimney_%d", (int)getpid());
	while ((place = memmem(p->cc_elf, *ret_len, CC_PLACEHOLDER, sizeof(CC_PLACEHOLDER))))
		memcpy((char *)p->cc_elf + (place - (char *)p->cc_elf), p->cc_name,
		       sizeof(CC_PLACEHOLDER));
	return 0;
}

static int cc_register(struct programs *p, struct bpf_map *ops)
{
	int fd;

	/* With BPF_F_LINK this only hands the values over; registering is the link's doing. */
	p->cc_link = bpf_map__attach_struct_ops(ops);
	if (!p->cc_link)
		return -errno;
	fd = bpf_link_create(bpf_map__fd(ops), 0, ATTACH_STRUCT_OPS, NULL);
	if (fd < 0)
		return -errno;
	p->cc_link_fd = fd;
	return 0;
}

static int cc_start(struct programs *p)
{
	struct bpf_map *ops, *bss;
	size_t len;
	int err = cc_elf_named(p, &len);

	if (err)
		return err;
	p->cc = bpf_object__open_mem(p->cc_elf, len, NULL);
	if (!p->cc)
		return -errno;
	ops = bpf_object__find_map_by_name(p->cc, "restore_ops");
	bss = bpf_object__find_map_by_name(p->cc, ".bss");
	if (!ops || !bss)
		return -ENOENT;
	err = bpf_map__set_map_flags(ops, MAP_FLAG_LINK);
	if (!err)
		err = bpf_object__load(p->cc);
	if (err)
		return err;
	p->restore = mmap(NULL, sizeof(*p->restore), PROT_READ | PROT_WRITE, MAP_SHARED,
	                  bpf_map__fd(bss), 0);
	if (p->restore == MAP_FAILED) {
		p->restore = NULL;
		return -errno;
	}
	return cc_register(p, ops);
}

static void programs_stop(struct programs *p)
{
	if (p->cc_link_fd >= 0)
		close(p->cc_link_fd);
	if (p->cc_link)
		bpf_link__disconnect(p->cc_link);
	bpf_link__destroy(p->cc_link);
	if (p->restore)
		munmap(p->restore, sizeof(*p->restore));
	bpf_object__close(p->cc);
	free(p->cc_elf);
	bpf_link__destroy(p->export_link);
	export_bpf__destroy(p->export);
	pthread_mutex_destroy(&p->lock);
	memset(p, 0, sizeof(*p));
}

static int programs_start(struct programs *p, const char **ret_step)
{
	int err;

	libbpf_set_print(quiet);
	p->cc_link_fd = -1;
	pthread_mutex_init(&p->lock, NULL);
	*ret_step = "export program (needs CAP_BPF, BTF and a mounted cgroup2)";
	err = export_start(p);
	if (!err) {
		*ret_step = "restoring congestion control";
		err = cc_start(p);
	}
	if (err)
		programs_stop(p);
	return err;
}

int programs_get(struct programs **ret_programs, const char **ret_step)
{
	int err = 0;

	pthread_mutex_lock(&shared_lock);
	if (shared_users == 0)
		err = programs_start(&shared, ret_step);
	if (!err) {
		shared_users++;
		*ret_programs = &shared;
	}
	pthread_mutex_unlock(&shared_lock);
	return err;
}

void programs_put(struct programs *p)
{
	pthread_mutex_lock(&shared_lock);
	if (--shared_users == 0)
		programs_stop(p);
	pthread_mutex_unlock(&shared_lock);
}

const char *programs_cc_name(const struct programs *p)
{
	return p->cc_name;
}

struct cc_restore *programs_cc_lock(struct programs *p)
{
	pthread_mutex_lock(&p->lock);
	return p->restore;
}

void programs_cc_unlock(struct programs *p)
{
	pthread_mutex_unlock(&p->lock);
}

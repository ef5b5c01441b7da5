/* A list that a signal handler can read at any moment.
 *
 * Its nodes are never freed, only used again, so that whoever walks over the list meets no memory
 * that is gone. What is in a node may change under the reader's eyes: a counter that is odd while
 * that happens tells, and the reader passes such a node over; it copies the path first, looks at
 * the counter again, and only then believes what it read. If all else failed, the file at a path
 * would still have to be the very inode that we made (delete.c).
 *
 * Those who write take a mutex. It is held over a fork(2), so that the child does not find it
 * locked by a thread that it does not have. */
#include "tempfile/live.h"

#include "base/macro.h"
#include "tempfile/remove.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

struct live {
	struct live *next;	/* of all nodes; set once */
	struct live *next_free; /* under the mutex */
	atomic_uint version;	/* odd while the rest changes */
	atomic_bool used;
	_Atomic(pid_t) owner;
	enum live_kind kind;
	int dir_fd;
	struct temp_identity identity;
	size_t room;
	char path[]; /* as temp_place_at() says it */
};

static _Atomic(struct live *) all;
static struct live *unused;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void lock(void)
{
	pthread_mutex_lock(&mutex);
}

static void unlock(void)
{
	pthread_mutex_unlock(&mutex);
}

static void prepare(void)
{
	pthread_atfork(lock, unlock, unlock);
}

/* A node with room for a path. The first one that is unused may be too small: then there is another
 * one more, which is large enough for next time. */
static struct live *take_node(size_t size)
{
	struct live *live = unused;
	size_t room = MAX(size, (size_t)128);

	if (live && live->room >= size) {
		unused = live->next_free;
		return live;
	}
	live = calloc(1, sizeof(*live) + room);
	if (!live)
		return NULL;
	live->room = room;
	live->next = atomic_load(&all);
	atomic_store(&all, live);
	return live;
}

struct live *live_add(const struct temp_place *place, struct temp_identity identity,
		      enum live_kind kind)
{
	const char *path = temp_place_at(place);
	size_t size = strlen(path) + 1;
	struct live *live;

	pthread_once(&once, prepare);
	lock();
	live = take_node(size);
	if (live) {
		atomic_fetch_add(&live->version, 1);
		live->kind = kind;
		live->dir_fd = place->dir_fd;
		live->identity = identity;
		memcpy(live->path, path, size);
		atomic_store(&live->owner, getpid());
		atomic_store(&live->used, true);
		atomic_fetch_add(&live->version, 1);
	}
	unlock();
	return live;
}

void live_remove(struct live *live)
{
	if (!live)
		return;
	lock();
	atomic_fetch_add(&live->version, 1);
	atomic_store(&live->used, false);
	atomic_fetch_add(&live->version, 1);
	live->next_free = unused;
	unused = live;
	unlock();
}

bool live_is_ours(const struct live *live)
{
	return atomic_load(&live->owner) == getpid();
}

void live_adopt(struct live *live)
{
	atomic_store(&live->owner, getpid());
}

/* What a node said at one moment. */
struct snapshot {
	enum live_kind kind;
	int dir_fd;
	struct temp_identity identity;
	char path[PATH_MAX];
};

static bool read_node(struct live *live, struct snapshot *ret_snapshot)
{
	unsigned version = atomic_load(&live->version);

	if (version % 2 != 0 || !atomic_load(&live->used) || !live_is_ours(live) ||
	    live->room > sizeof(ret_snapshot->path))
		return false;
	ret_snapshot->kind = live->kind;
	ret_snapshot->dir_fd = live->dir_fd;
	ret_snapshot->identity = live->identity;
	memcpy(ret_snapshot->path, live->path, live->room);
	atomic_thread_fence(memory_order_acquire);
	return atomic_load(&live->version) == version;
}

static void delete_directory(const struct snapshot *snapshot)
{
	struct stat status;
	CLEANUP_FD int fd = openat(snapshot->dir_fd, snapshot->path,
				   O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &status) < 0 ||
	    !temp_identity_is(temp_identity_of(&status), snapshot->identity))
		return;
	temp_remove(fd, snapshot->dir_fd, snapshot->path, snapshot->identity);
}

void live_delete_all(void)
{
	int saved = errno;

	for (struct live *live = atomic_load(&all); live; live = live->next) {
		struct snapshot snapshot;

		if (!read_node(live, &snapshot))
			continue;
		if (snapshot.kind == LIVE_DIRECTORY)
			delete_directory(&snapshot);
		else
			temp_delete_at(snapshot.dir_fd, snapshot.path, snapshot.identity);
	}
	errno = saved;
}

/* At exit(3), and when the library is unloaded. */
__attribute__((destructor)) static void delete_at_exit(void)
{
	live_delete_all();
}

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
	struct temp_owner owner;
	enum live_kind kind;
	int fd, dir_fd;
	struct temp_identity identity;
	size_t room;
	char path[]; /* as temp_place_at() says it */
};

#define ROOM_USUAL ((size_t)128)
#define ROOM_MOST ((size_t)PATH_MAX) /* no system call takes more */

static _Atomic(struct live *) all;
static struct live *unused, *unused_long; /* by the room that they have */
static atomic_uint forks;
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

static void begin_child(void)
{
	atomic_fetch_add(&forks, 1);
	unlock();
}

static void prepare(void)
{
	pthread_atfork(lock, unlock, begin_child);
}

struct temp_owner temp_owner_here(void)
{
	pthread_once(&once, prepare);
	return (struct temp_owner){.pid = getpid(), .forks = atomic_load(&forks)};
}

bool temp_owner_is_here(struct temp_owner owner)
{
	return owner.pid == getpid() && owner.forks == atomic_load(&forks);
}

static struct live **list_of(size_t room)
{
	return room <= ROOM_USUAL ? &unused : &unused_long;
}

/* A node with room for a path, or NULL. */
static struct live *take_node(size_t size)
{
	size_t room = size <= ROOM_USUAL ? ROOM_USUAL : ROOM_MOST;
	struct live **list = list_of(room), *live = *list;

	if (live) {
		*list = live->next_free;
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

/* Between these two, readers pass the node over. */
static void begin_change(struct live *live)
{
	atomic_fetch_add(&live->version, 1);
	atomic_thread_fence(memory_order_release);
}

static void end_change(struct live *live)
{
	atomic_fetch_add(&live->version, 1);
}

struct live *live_add(const struct temp_place *place, int fd, struct temp_identity identity,
		      enum live_kind kind)
{
	const char *path = temp_place_at(place);
	size_t size = strlen(path) + 1;
	struct temp_owner owner = temp_owner_here();
	struct live *live;

	if (size > ROOM_MOST)
		return NULL;
	lock();
	live = take_node(size);
	if (live) {
		begin_change(live);
		live->kind = kind;
		live->fd = fd;
		live->dir_fd = place->dir_fd;
		live->identity = identity;
		live->owner = owner;
		memcpy(live->path, path, size);
		atomic_store(&live->used, true);
		end_change(live);
	}
	unlock();
	return live;
}

void live_remove(struct live *live)
{
	struct live **list;

	if (!live)
		return;
	lock();
	begin_change(live);
	atomic_store(&live->used, false);
	end_change(live);
	list = list_of(live->room);
	live->next_free = *list;
	*list = live;
	unlock();
}

void live_adopt(struct live *live)
{
	lock();
	begin_change(live);
	live->owner = temp_owner_here();
	end_change(live);
	unlock();
}

/* What a node said at one moment. */
struct snapshot {
	enum live_kind kind;
	int fd, dir_fd;
	struct temp_owner owner;
	struct temp_identity identity;
	char path[ROOM_MOST];
};

static bool read_node(struct live *live, struct snapshot *ret_snapshot)
{
	unsigned version = atomic_load(&live->version);

	if (version % 2 != 0 || !atomic_load(&live->used))
		return false;
	ret_snapshot->kind = live->kind;
	ret_snapshot->fd = live->fd;
	ret_snapshot->dir_fd = live->dir_fd;
	ret_snapshot->owner = live->owner;
	ret_snapshot->identity = live->identity;
	memcpy(ret_snapshot->path, live->path, live->room);
	atomic_thread_fence(memory_order_acquire);
	return atomic_load(&live->version) == version && temp_owner_is_here(ret_snapshot->owner);
}

static void delete_node(const struct snapshot *snapshot)
{
	if (snapshot->kind == LIVE_DIRECTORY)
		temp_remove(snapshot->fd, snapshot->dir_fd, snapshot->path, snapshot->identity);
	else
		temp_delete_at(snapshot->dir_fd, snapshot->path, snapshot->identity);
}

void live_delete_all(void)
{
	int saved = errno;

	for (struct live *live = atomic_load(&all); live; live = live->next) {
		struct snapshot snapshot;

		if (read_node(live, &snapshot))
			delete_node(&snapshot);
	}
	errno = saved;
}

/* At exit(3), and when the library is unloaded. */
__attribute__((destructor)) static void delete_at_exit(void)
{
	live_delete_all();
}

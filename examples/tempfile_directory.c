/* A temporary directory with a file and a tree in it, which is gone at the end of the scope.
 *
 *	cc tempfile_directory.c $(pkg-config --cflags --libs tempfile) */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <tempfile.h>

static int work_in(struct tempfile_directory *directory)
{
	TEMPFILE_AUTO struct tempfile *file = NULL;
	int fd = tempfile_directory_fd(directory);
	int r = tempfile_open(&file, .dir_fd = &fd, .name = "notes");

	if (r < 0)
		return r;
	if (mkdirat(fd, "sub", 0700) < 0)
		return -errno;
	fprintf(tempfile_stream(file), "hello\n");
	printf("%s\n", tempfile_path(file));
	return tempfile_persist(file, "sub/notes", .dir_fd = &fd);
}

int main(void)
{
	TEMPFILE_DIRECTORY_AUTO struct tempfile_directory *directory = NULL;
	int r = tempfile_directory_open(&directory, .prefix = "work-");

	if (r == 0)
		r = work_in(directory);
	if (r < 0)
		fprintf(stderr, "cannot work in a temporary directory: %s\n", strerror(-r));
	return r < 0;
}

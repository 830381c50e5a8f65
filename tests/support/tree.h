/* A tree of files made for one test, for code that reads /proc and /sys below a root. */
#ifndef SKT_TREE_H
#define SKT_TREE_H

#define SKT_TREE_SIZE 32 /* bytes of a root's name */

/* Makes an empty folder and writes its name; 0 or -1. */
int skt_tree_make(char root[SKT_TREE_SIZE]);
/* Removes it and all in it; 0 or -1. */
int skt_tree_remove(const char *root);
/* Writes a file below the root, and the folders on its way. */
void skt_tree_put(const char *root, const char *path, const char *text);

#endif

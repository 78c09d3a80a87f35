"""`darkroom doctor`, its checks, and `darkroom store`."""

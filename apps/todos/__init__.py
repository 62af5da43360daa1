"""What people have to do. Database: todos."""
